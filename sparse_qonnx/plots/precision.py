"""Bit widths of every layer, channel by channel, around the binary point; per-pixel widths as maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.files import ModelSource, read_model
from sparse_qonnx.grid import Grid
from sparse_qonnx.layers import Layer, LayeredGraph, Quantizer
from sparse_qonnx.plots.figure import QUIET, ROW_NAME, SERIES, label, new_figure, quiet_frame, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[Any]

KINDS = ("weights", "quantizer", "exact range")
"""What a row shows; the last: a tensor that no quantizer limits, with what holds every value it can have."""


@dataclass(frozen=True)
class Widths:
    """Bits of one tensor, for each of its channels.

    Attributes:
        name: of the tensor, or of the quantizer.
        kind: one of `KINDS`.
        left: bits left of the binary point, the sign included `[C]`.
        right: bits right of it `[C]`.
    """

    name: str
    kind: str
    left: Array
    right: Array


def plot_precision(model: ModelSource) -> Figure:
    """Draw how many bits each layer's weights, quantizers and results have.

    A bar reaches from the last bit right of the binary point to the sign; where channels differ, what all have is
    darker than what some have. Beside it there is a map for each quantizer with a width for every pixel: bits, averaged
    over the channels.

    Args:
        model: the ONNX file.

    Returns:
        A matplotlib figure.

    Raises:
        ModelFileError: if the file cannot be read.
        ToolError: if matplotlib is not installed.
    """
    graph = LayeredGraph(read_model(model))
    rows = [row for layer in graph.layers.values() for row in widths(graph, layer)]
    maps = [q for layer in graph.layers.values() for q in layer.quantizers if _is_map(q)]
    height = max(2.4, 0.24 * len(rows) + 1, 2.6 * -(-len(maps) // 2))
    figure = new_figure(10 if maps else 7, height)
    if not maps:
        _draw_rows(figure.subplots(), rows)
        return figure
    (left, right), *_ = figure.subfigures(1, 2, width_ratios=[1.5, 1], squeeze=False)
    _draw_rows(left.subplots(), rows)
    panels = np.ravel(right.subplots(-(-len(maps) // 2), min(len(maps), 2), squeeze=False))
    for panel in panels[len(maps) :]:
        panel.set_axis_off()
    for panel, quantizer in zip(panels, maps, strict=False):
        _draw_map(panel, quantizer)
    return figure


def widths(graph: LayeredGraph, layer: Layer) -> Iterator[Widths]:
    """The rows of a layer: quantizers of what comes in, weights, and results that no quantizer limits."""
    for quantizer in layer.quantizers:
        form = quantizer.format
        live = form.widths > 0
        sides = (form.signed + form.integer_bits, form.fractional_bits)
        left, right = (np.where(live, side, 0) for side in np.broadcast_arrays(*sides))
        yield Widths(quantizer.node, "quantizer", left.reshape(-1), right.reshape(-1))
    for weights in layer.weights:
        yield _of_grid(weights.name, "weights", Grid.of_constant(weights.values))
    limited = {quantizer.tensor for quantizer in layer.quantizers}
    for name in layer.outputs:
        grid = graph.proof.grids.get(name)
        if grid is not None and name not in limited:
            yield _of_grid(graph.shown(name), "exact range", grid)


def _of_grid(name: str, kind: str, grid: Grid) -> Widths:
    """Each element's own narrowest bits: trailing zeros of a constant are not counted."""
    low, high = np.broadcast_arrays(grid.lo, grid.hi)
    left, right = [], []
    for least, most in zip(low.reshape(-1), high.reshape(-1), strict=True):
        bits = max(int(most).bit_length(), (-int(least) - 1).bit_length() if least < 0 else 0) + (least < 0)
        spare = ((int(least) & -int(least)).bit_length() - 1) if least == most and least else 0
        left.append(bits - grid.frac if bits else 0)
        right.append(grid.frac - spare if bits else 0)
    return Widths(name, kind, np.array(left), np.array(right))


def _draw_rows(axes: Axes, rows: list[Widths]) -> None:
    from matplotlib.patches import Patch

    colours = dict(zip(KINDS, SERIES, strict=False))
    for place, row in enumerate(rows):
        colour, live = colours[row.kind], row.left + row.right > 0
        if not live.any():
            continue
        left, right = row.left[live], row.right[live]
        all_left, all_right = left.max(), right.max()
        axes.barh(place, all_left + all_right, left=-all_left, height=0.66, color=colour, alpha=0.4, linewidth=0)
        common = left.min() + right.min()
        if common > 0:
            axes.barh(place, common, left=-left.min(), height=0.66, color=colour, linewidth=0)
        axes.text(all_right + 0.4, place, _count(left + right, len(row.left)), va="center", fontsize=7, color=QUIET)
    handles = [Patch(color=colours[kind], label=kind) for kind in KINDS if any(row.kind == kind for row in rows)]
    axes.legend(handles=handles, fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=3)
    axes.axvline(0, color=QUIET, linewidth=1)
    axes.use_sticky_edges = False
    axes.margins(x=0.06, y=0.02)
    axes.set_yticks(range(len(rows)), [shorten(row.name, ROW_NAME) for row in rows], fontsize=8)
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    label(axes, "", "bits left (sign included) and right of the binary point;\ndark: in all channels, pale: in some")


def _count(found: Array, channels: int) -> str:
    least, most = int(found.min()), int(found.max())
    bits = f"{least} bits" if least == most else f"{least} to {most} bits"
    return bits if len(found) == channels else f"{bits}, {channels - len(found)} of {channels} none"


def _is_map(quantizer: Quantizer) -> bool:
    shape = quantizer.format.widths.shape[-3:]
    return len(shape) == 3 and max(shape[:2]) > 1


def _draw_map(axes: Axes, quantizer: Quantizer) -> None:
    found = quantizer.format.widths
    bits = found.reshape(found.shape[-3:]).mean(axis=2)
    image = axes.imshow(bits, cmap="viridis", interpolation="nearest")
    quiet_frame(axes)
    bar = axes.figure.colorbar(image, ax=axes, location="bottom", shrink=0.8, aspect=15)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_edgecolor(QUIET)
    label(axes, quantizer.node, f"bits at each pixel, {int(found.min())} to {int(found.max())}")
