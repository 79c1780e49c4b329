"""Docstrings write `code` as Markdown does; Sphinx reads reStructuredText."""

from __future__ import annotations

import re
from typing import Any

from sphinx.util import inspect

inspect.TypeAliasForwardRef.__repr__ = lambda alias: str(alias.name)  # type: ignore[method-assign]  # in unions

_CODE = re.compile(r"(?<![`:\\])`([^`]+)`(?![`_])(?=(\w)?)")


def code_as_in_markdown(_app: Any, _what: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    """Double the backticks; what follows without a space, as in `Value`s, stays attached."""
    lines[:] = [_CODE.sub(lambda found: f"``{found[1]}``" + ("\\ " if found[2] else ""), line) for line in lines]
