"""What the tests of proofs share: operators proven by themselves, integers as limits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.ops import operators

Array = NDArray[Any]


def integers(*values: int) -> Array:
    return np.array(values, dtype=object)


def prove(op: str, shapes: Any, grids: Any, constants: Any = None, **attributes: Any) -> NodeProof:
    rule = operators()[op]
    constants = constants or (None,) * len(grids)
    return rule.prove(NodeContext("n", op, attributes, tuple(shapes), tuple(grids), tuple(constants)))


def limits(proof: NodeProof) -> tuple[list[int], list[int]]:
    (grid, *_) = proof.outputs
    assert grid is not None
    return grid.lo.reshape(-1).tolist(), grid.hi.reshape(-1).tolist()
