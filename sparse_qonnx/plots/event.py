"""One event on its way through the layers, the kept pixels marked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from sparse_qonnx.datasets.convert import as_type
from sparse_qonnx.errors import InputDataError
from sparse_qonnx.files import ModelSource, read_model
from sparse_qonnx.layers import Layer, LayeredGraph, SlotMap, describe_shape
from sparse_qonnx.ops import DOMAIN
from sparse_qonnx.plots.figure import ACCENT, QUIET, label, new_figure, quiet_frame, shorten
from sparse_qonnx.runtime import input_dtypes, input_shapes, run_tensors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

MOST_BARS = 32
"""Outputs with more values are drawn as a line."""


@dataclass(frozen=True)
class Stage:
    """A sparse tensor that is drawn: what one convolution, pooling or sum gives after its activation and quantizer.

    Attributes:
        layer: that began it.
        tensor: its last one.
        map: where the slots lie.
        image: the input of which it keeps pixels; "" in all other stages.
    """

    layer: Layer
    tensor: str
    map: SlotMap
    image: str = ""


def plot_event(
    model: ModelSource,
    event: Array | Mapping[str, Array],
    *,
    title: str = "",
    columns: int | None = None,
    kernels: str = "function",
) -> Figure:
    """Draw an event, the pixels that are kept, the features of each sparse layer, and the outputs.

    An image shows the first channel, which decides what is kept; a feature map the largest magnitude over the channels
    at each active pixel, inactive ones empty.

    Args:
        model: the ONNX file.
        event: one event `[H, W, C]` or a batch of one `[1, H, W, C]`; a mapping from input name for several inputs.
        title: of the picture.
        columns: pictures in a row; all of them by default.
        kernels: what runs the model, see `InferenceSession`.

    Returns:
        A matplotlib figure; `figure.savefig("event.png")` writes it.

    Raises:
        ModelFileError: if the file cannot be read.
        InputDataError: if the event does not fit the model.
        ToolError: if matplotlib is not installed.
    """
    proto = read_model(model)
    graph = LayeredGraph(proto)
    inputs = _one_event(proto, event)
    drawn = stages(graph)
    outputs = [value.name for value in proto.graph.output]
    wanted = {name for s in drawn for name in (graph.shown(s.tensor), s.map.coords)} | set(outputs)
    values = {name: array[0] for name, array in run_tensors(proto, inputs, sorted(wanted), kernels).items()}
    images = [name for name in inputs if inputs[name].ndim == 4]
    kept = {s.image: values[s.map.coords] for s in drawn if s.image}
    drawn = [s for s in drawn if not s.image]
    panels = len(images) + len(drawn) + len(outputs)
    across = min(columns or panels, panels)
    down = -(-panels // across)
    figure = new_figure(2.4 * across, 3.1 * down)
    grid = figure.subplots(down, across, squeeze=False).reshape(-1)
    for empty in grid[panels:]:
        empty.set_axis_off()
    axes = iter(grid)
    for name in images:
        _draw_image(next(axes), name, inputs[name][0], kept.get(name))
    for stage in drawn:
        _draw_features(next(axes), stage, values[graph.shown(stage.tensor)], values[stage.map.coords])
    for name in outputs:
        _draw_output(next(axes), name, values[name])
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def stages(graph: LayeredGraph) -> list[Stage]:
    """The sparse tensors worth a picture: the last of each chain of nodes that work on values one by one."""
    found: dict[str, Stage] = {}  # by the tensor that a chain has reached
    for layer in graph.layers.values():
        quantizers = {quantizer.node for quantizer in layer.quantizers}
        for node in layer.nodes:
            result = node.output[0]
            if result not in graph.maps:
                continue
            sources = [name for name in node.input if name in graph.maps]
            continues = len(sources) == 1 and (node.domain != DOMAIN or node.name in quantizers)
            before = found.pop(sources[0], None) if continues else None
            if before is None:
                before = Stage(layer, result, graph.maps[result], "" if sources else node.input[0])
            found[result] = replace(before, tensor=result)
    return list(found.values())


def _one_event(proto: ModelProto, event: Array | Mapping[str, Array]) -> dict[str, Array]:
    shapes = input_shapes(proto)
    if not isinstance(event, Mapping):
        if len(shapes) != 1:
            problem = f"is one array, the model has {len(shapes)} inputs"
            raise InputDataError("event", problem, allowed=f"a mapping from {', '.join(shapes)}")
        event = dict.fromkeys(shapes, event)
    found, dtypes = {}, input_dtypes(proto)
    for name, array in event.items():
        values = as_type(f"event {name!r}", np.asarray(array), dtypes.get(name, np.dtype(np.float32)))
        found[name] = values if values.ndim == len(shapes.get(name, ())) else values[None]
        if len(found[name]) != 1:
            raise InputDataError(f"event {name!r}", f"holds {len(values)} events", allowed="one")
    return found


def _draw_image(axes: Axes, name: str, image: Array, kept: Array | None) -> None:
    """The first channel; pixels that are 0 stay empty."""
    first = image[..., 0]
    _show(axes, np.where(first == 0, np.nan, first))
    quiet_frame(axes)
    lit, (height, width) = int(np.count_nonzero(first)), first.shape
    below = f"{lit} of {first.size} pixels lit"
    if kept is not None:
        _mark(axes, kept)
        below += f",\n{_active(kept)} kept (marked)"
    label(axes, f"{shorten(name)} {describe_shape((height, width))}", below)


def _draw_features(axes: Axes, stage: Stage, features: Array, coords: Array) -> None:
    """Largest magnitude over the channels at each active pixel."""
    height, width = stage.map.height, stage.map.width
    image = np.full((height, width), np.nan)
    active = coords.any(axis=1)
    row, column = coords[active].T - 1
    image[row, column] = np.abs(features[active]).max(axis=1)
    _show(axes, image)
    quiet_frame(axes)
    _mark(axes, coords)
    below = f"{_active(coords)} of {height * width} pixels,\n{features.shape[1]} channels"
    label(axes, f"{shorten(stage.layer.name)} {describe_shape((height, width))}", below)


def _show(axes: Axes, image: Array) -> None:
    """Small values in a colour that is seen on a dark page, too: the darkest fifth of the colours is left out."""
    known = image[np.isfinite(image)]
    least, most = (min(known.min(), 0.0), known.max()) if known.size else (0.0, 1.0)
    axes.imshow(image, cmap="viridis", vmin=least - 0.25 * (most - least), vmax=most, interpolation="nearest")


def _draw_output(axes: Axes, name: str, values: Array) -> None:
    """One bar a value, the largest one marked."""
    flat = values.reshape(-1)
    places = range(len(flat))
    if len(flat) > MOST_BARS:
        axes.plot(places, flat, color=ACCENT, linewidth=1)
    else:
        axes.barh(places, flat, color=[ACCENT if n == flat.argmax() else QUIET for n in places])
        axes.set_yticks(list(places) if len(flat) <= 12 else [])
        axes.invert_yaxis()
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    label(axes, shorten(name), f"largest: {int(flat.argmax())}")


def _mark(axes: Axes, coords: Array) -> None:
    """A frame around each active pixel."""
    from matplotlib.patches import Rectangle

    width = min(0.9, 25 / max(axes.images[0].get_size()))
    for row, column in coords[coords.any(axis=1)] - 1:
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=ACCENT, linewidth=width))


def _active(coords: Array) -> int:
    return int(coords.any(axis=1).sum())
