"""Text templates of the project's files, in `hls_backend/templates`: `@NAME@` is replaced."""

from __future__ import annotations

import re
from functools import cache

from sparse_qonnx import _paths


def render(name: str, **values: str) -> str:
    """A template with every `@NAME@` replaced.

    Raises:
        KeyError: a name in the template has no value.
    """
    text = (_paths.hls_backend() / "templates" / name).read_text(encoding="utf-8")
    return re.sub(r"@([A-Z_]+)@", lambda match: values[match.group(1)], text)


@cache
def words() -> frozenset[str]:
    """Every word in the code of the C++ templates: a tensor of that name would hide what they mean by it."""
    found: set[str] = set()
    for path in (_paths.hls_backend() / "templates").glob("*.cpp.in"):
        code = re.sub(r"//[^\n]*|\"[^\"\n]*\"", "", path.read_text(encoding="utf-8"))
        found.update(re.findall(r"[A-Za-z_]\w*", code))
    return frozenset(found)
