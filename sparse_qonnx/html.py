"""HTML for notebooks and reports, from jinja2 templates in which every value is escaped."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sparse_qonnx.errors import ToolError

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Table:
    """A table for people.

    Attributes:
        title: above it.
        columns: what each column holds.
        rows: texts, as many in each as there are columns.
        notes: lines below it.
        bad: numbers of the rows to be noticed.
        texts: so many columns on the left are text, the others numbers.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    bad: Collection[int] = ()
    texts: int = 1


def render(template: str, **values: Any) -> str:
    """A template filled in; every value is escaped unless it is marked as markup.

    Raises:
        ToolError: if jinja2 is not installed.
    """
    text: str = _environment().get_template(template).render(**values)
    return text


def markup(text: str) -> Any:
    """Text that is HTML already, written by this package or by matplotlib.

    Raises:
        ToolError: if jinja2 is not installed.
    """
    _environment()
    from markupsafe import Markup

    return Markup(text)


def for_notebook(*tables: Table) -> str | None:
    """Tables as notebooks show them; None without jinja2, so that they show text."""
    try:
        return render("notebook.html.j2", tables=tables)
    except ToolError:
        return None


@cache
def _environment() -> Any:
    try:
        import jinja2
    except ImportError as error:
        fix = "pip install 'sparse-qonnx[report]'"
        raise ToolError("HTML", "needs the package jinja2, which is not installed", fix=fix) from error
    loader = jinja2.FileSystemLoader(_TEMPLATES)
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
