"""What the pictures share: the library, colours that read on light and on dark, and how they are written."""

from __future__ import annotations

import io
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from sparse_qonnx.errors import ToolError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCENT = "#e4572e"
QUIET = "#8a8f98"
ROW_NAME = 36
"""Characters of a name beside a row."""
SERIES = ("#3b7dd8", "#e4572e", "#3a9d5d", "#b07aa1", "#d9a300")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, tied to no window; notebooks show it in the colours of their page.

    Raises:
        ToolError: if matplotlib is not installed.
    """
    return _figure_class()(figsize=(width, height), layout="constrained")


@cache
def _figure_class() -> type[Figure]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        fix = "pip install 'sparse-qonnx[plot]'"
        raise ToolError("plots", "need the package matplotlib, which is not installed", fix=fix) from error

    class ShownFigure(Figure):
        def _repr_html_(self) -> str:
            return to_svg(self)

    return ShownFigure


def label(axes: Axes, title: str = "", below: str = "") -> None:
    """Title and caption, as they are: a name may hold what matplotlib takes for mathematics."""
    axes.set_title(title, fontsize=10, loc="left", parse_math=False)
    axes.set_xlabel(below, fontsize=8, color=QUIET, parse_math=False)


def shorten(name: str, most: int = 20) -> str:
    """A name that fits above a panel; more of it beside a row."""
    return name if len(name) <= most else f"{name[: most - 1]}\u2026"


def quiet_frame(axes: Axes) -> None:
    """A thin frame without ticks, around an image."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color(QUIET)


def to_svg(figure: Figure) -> str:
    """The figure as an SVG element to embed: text as text, black as the colour of the page's text, nothing behind it.

    The same figure gives the same bytes.
    """
    import matplotlib as mpl

    stream = io.StringIO()
    options: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "sparse-qonnx", "font.family": "sans-serif"}
    with mpl.rc_context(options):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    svg = text[text.index("<svg") :].replace("<svg", '<svg fill="currentColor"', 1)  # of text; shapes state theirs
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return re.sub(r"\b(fill|stroke): #000000", r"\1: currentColor", svg)
