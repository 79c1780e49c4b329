"""Links of a page to files of the repository that are no pages: shown as the path, for there is no site to send to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes


def link_to_repository(_app: Any, env: Any, node: Any, content: nodes.Element) -> nodes.Node | None:
    """The text of a link to an existing file or folder outside `docs/`; None leaves the warning to Sphinx."""
    page = Path(env.doc2path(node.get("refdoc", env.docname)))
    target = str(node.get("reftarget", "")).partition("#")[0]
    return content if target and (page.parent / target).exists() else None
