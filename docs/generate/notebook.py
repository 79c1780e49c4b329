"""The tutorial as a Jupyter notebook without results, to take along."""

from __future__ import annotations

from pathlib import Path


def pages(docs: Path) -> dict[str, str]:
    """The notebook, by path below the generated folder."""
    import jupytext

    notebook = jupytext.read(docs / "tutorial.md")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # jupytext draws them at random; the page is to be the same each time
    return {"tutorial.ipynb": jupytext.writes(notebook, fmt="ipynb")}
