"""Abs."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._unary import unary_call


class Abs(StandardOp):
    """|x|."""

    operands = (Operand.FACTOR,)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        if grid is None:
            return NodeProof((None,))
        lo = np.maximum(np.maximum(grid.lo, -grid.hi), 0)
        return NodeProof((grid.with_limits(lo, np.maximum(-grid.lo, grid.hi)),), grid.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return unary_call(node, "magnitude")
