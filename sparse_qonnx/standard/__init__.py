"""What the package knows of standard ONNX operators and of qonnx's `Quant`: one file each, found by folder.

Only operators that can carry an exact grid are here. Any other node is still valid in a file; its result is then not on
a known grid, and the firmware refuses it by name.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from sparse_qonnx.ops import DOMAIN, operators, stem_to_name
from sparse_qonnx.ops._base import SparseOp
from sparse_qonnx.standard._base import StandardOp

Rule = type[SparseOp] | type[StandardOp]


@cache
def _rules() -> dict[tuple[str, str], type[StandardOp]]:
    found: dict[tuple[str, str], type[StandardOp]] = {}
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            op = getattr(importlib.import_module(f"{__name__}.{module.name}"), stem_to_name(module.name))
            found[op.domain, op.__name__] = op
    return found


def rule_of(domain: str, op_type: str) -> Rule | None:
    """The class that knows an operator; None for one that can carry no grid."""
    if domain == DOMAIN:
        return operators().get(op_type)
    return _rules().get(("" if domain == "ai.onnx" else domain, op_type))


def standard_operators() -> dict[tuple[str, str], type[StandardOp]]:
    """All known operators of other domains, by (domain, name)."""
    return dict(_rules())
