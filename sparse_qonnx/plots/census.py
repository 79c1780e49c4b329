"""What each layer of a firmware project instantiates, as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparse_qonnx.plots.figure import QUIET, ROW_NAME, SERIES, label, new_figure, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sparse_qonnx.hls.census import Census

PARTS = {
    "multipliers": ("multiply_bits",),
    "by constants": ("constant_multiply_bits",),
    "selectors": ("select_bits",),
    "adders": ("add_bits", "compare_bits", "logic_bits"),
    "registers": ("register_bits", "buffer_bits"),
}
"""What is drawn, by the columns of `Census.rows` that are added up."""


def plot_census(census: Census) -> Figure:
    """Draw the operations of each layer in bits, and the cycles that it takes.

    Args:
        census: of a project, from `project.census()`.

    Returns:
        A matplotlib figure.

    Raises:
        ToolError: if matplotlib is not installed.
    """
    rows = [row for row in census.rows if row["layer"] != "total"]
    places = range(len(rows))
    figure = new_figure(10, max(2.4, 0.3 * len(rows) + 1.2))
    bits, cycles = figure.subplots(1, 2, sharey=True, width_ratios=[2, 1])
    start = [0.0] * len(rows)
    for colour, (name, columns) in zip(SERIES, PARTS.items(), strict=True):
        values = [sum(row[column] for column in columns) / 1000 for row in rows]
        bits.barh(places, values, left=start, color=colour, label=name, height=0.7)
        start = [a + b for a, b in zip(start, values, strict=True)]
    bits.set_yticks(list(places), [shorten(row["layer"], ROW_NAME) for row in rows], fontsize=8)
    for text in bits.get_yticklabels():
        text.set_parse_math(False)
    bits.legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(PARTS))
    label(bits, "", "thousand bits of operations")
    cycles.barh(places, [row["latency"] for row in rows], color=QUIET, height=0.7, alpha=0.5, label="latency")
    cycles.barh(places, [row["interval"] for row in rows], color=SERIES[0], height=0.35, label="interval")
    cycles.legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    label(cycles, "", f"cycles; all together: interval {census.interval}, latency {census.latency}")
    bits.invert_yaxis()
    for axes in (bits, cycles):
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
