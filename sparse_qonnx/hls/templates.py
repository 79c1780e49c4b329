"""Text templates of the project's files, in `hls_backend/templates`: `@NAME@` is replaced."""

from __future__ import annotations

import re

from sparse_qonnx import _paths


def render(name: str, **values: str) -> str:
    """A template with every `@NAME@` replaced.

    Raises:
        KeyError: a name in the template has no value.
    """
    text = (_paths.hls_backend() / "templates" / name).read_text(encoding="utf-8")
    return re.sub(r"@([A-Z_]+)@", lambda match: values[match.group(1)], text)
