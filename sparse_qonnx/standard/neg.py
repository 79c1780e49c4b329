"""Neg."""

from __future__ import annotations

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.standard._base import StandardOp


class Neg(StandardOp):
    """-x."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        return NodeProof((None,)) if grid is None else NodeProof((grid.with_limits(-grid.hi, -grid.lo),), grid.bits)
