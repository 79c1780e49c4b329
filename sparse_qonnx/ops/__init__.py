"""The operators of the ONNX domain `sparse_qonnx.ops`, one file each, found by folder.

The name of this module is the name of the domain: qonnx's registry imports it and finds the classes in `__all__`.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

from sparse_qonnx.ops._base import DOMAIN, VERSION, SparseOp


def stem_to_name(stem: str) -> str:
    """`sparse_conv` -> `SparseConv`: an operator's name follows from the name of its files."""
    return "".join(part.capitalize() for part in stem.split("_"))


@cache
def operators() -> dict[str, type[SparseOp]]:
    """Operator classes by name, in alphabetical order."""
    found: dict[str, type[SparseOp]] = {}
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            name = stem_to_name(module.name)
            found[name] = getattr(importlib.import_module(f"{__name__}.{module.name}"), name)
    return found


__all__ = [  # the operators are found by folder
    *(stem_to_name(m.name) for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")),
    "DOMAIN",
    "VERSION",
    "operators",
]


def __getattr__(name: str) -> Any:
    """Operator classes are imported when they are first asked for."""
    if name in __all__:
        return operators()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
