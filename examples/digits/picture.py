"""A picture of one event on its way through the layers, the kept pixels marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

Array = NDArray[np.float32]

MAPS = (  # features, coordinates, side of the map, what it is
    ("conv1", "reduce.coords", 32, "5x5 convolution"),
    ("pool1", "pool1.coords", 16, "average of 2x2"),
    ("conv2", "pool1.coords", 16, "5x5 convolution"),
    ("pool2", "pool2.coords", 4, "maximum of 4x4"),
)
MARK = "#e4572e"
QUIET = "#8a8f98"


def tensors(path: Path, event: Array, names: list[str]) -> dict[str, NDArray[np.generic]]:
    """Intermediate tensors of one event `[32, 32, 1]`, made outputs of a copy of the model, from stock onnxruntime."""
    model = onnx.load(path)
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: event[None]}), strict=True))


def _scatter(features: Array, coords: NDArray[np.int64], side: int) -> Array:
    """Largest magnitude over the channels of each kept pixel, as an image `[side, side]`; NaN elsewhere."""
    image = np.full((side, side), np.nan, np.float32)
    kept = coords.any(axis=1)
    row, column = coords[kept].T - 1
    image[row, column] = np.abs(features[kept]).max(axis=1)
    return image


def _map(axes: Axes, image: Array, coords: NDArray[np.int64], title: str, below: str) -> None:
    axes.imshow(image, cmap="Greys" if np.isfinite(image).all() else "viridis", vmin=0)
    for row, column in coords[coords.any(axis=1)] - 1:
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=MARK, linewidth=0.9))
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(below, fontsize=8, color=QUIET)
    for spine in axes.spines.values():
        spine.set_color(QUIET)


def _bars(axes: Axes, probabilities: Array, label: int) -> None:
    colours = [MARK if digit == probabilities.argmax() else QUIET for digit in range(10)]
    axes.barh(range(10), probabilities, color=colours)
    axes.set(yticks=range(10), xlim=(0, 1), xticks=[0, 1])
    axes.invert_yaxis()
    axes.set_title("softmax", fontsize=10, loc="left")
    axes.set_xlabel(f"true digit:\n{label}", fontsize=8, color=QUIET)
    axes.spines[["top", "right"]].set_visible(False)


def draw(path: Path, event: Array, label: int, png: Path) -> None:
    """Write the picture of one event.

    Args:
        path: the `.onnx` file.
        event: one canvas `[32, 32, 1]`.
        label: the digit that it shows.
        png: where to write.
    """
    wanted = {name for features, coords, *_ in MAPS for name in (features, coords)} | {"softmax"}
    values = tensors(path, event, sorted(wanted))
    figure = Figure(figsize=(14, 3), layout="constrained")
    axes = figure.subplots(1, len(MAPS) + 2)
    kept = values["reduce.coords"][0]
    count, active = int(kept.any(axis=1).sum()), int((event[..., 0] > 0).sum())
    _map(axes[0], event[..., 0], kept, "image 32x32", f"{active} of 1024 pixels lit,\n{count} kept (marked)")
    for place, (features, coords, side, what) in zip(axes[1:], MAPS, strict=False):
        slots, shape = values[coords][0], values[features][0].shape
        below = f"{what}, {shape[1]} channels\n{int(slots.any(axis=1).sum())} of {side * side} cells"
        _map(place, _scatter(values[features][0], slots, side), slots, f"{features} {side}x{side}", below)
    _bars(axes[-1], values["softmax"][0], label)
    figure.savefig(png, dpi=130)
