"""The navigation: `index.md` names pages in the order they are read; here come those that it does not name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

REST = "(all other pages)"
"""The line of a toctree of `index.md` that stands for them."""


def name_the_rest(app: Any, name: str, source: list[str]) -> None:
    """Put the pages that nobody named in place of the line that stands for them."""
    if name != "index":
        return
    named = set(source[0].splitlines())
    found = sorted(page.stem for page in Path(app.srcdir).glob("*.md") if page.stem != "index")
    source[0] = source[0].replace(REST, "\n".join(page for page in found if page not in named))
