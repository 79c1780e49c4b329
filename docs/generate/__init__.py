"""Pages that are made when the site is built: each module of this folder with a function `pages` gives some."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

FOLDER = "_generated"


def write_pages(docs: Path) -> None:
    """Write every page below `docs/_generated`; what has not changed keeps its date, what has gone is removed."""
    wanted: dict[Path, str] = {}
    for found in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{found.name}")
        if hasattr(module, "pages"):
            wanted |= {docs / FOLDER / name: text for name, text in module.pages(docs).items()}
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in (docs / FOLDER).rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()
