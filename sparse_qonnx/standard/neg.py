"""Neg."""

from __future__ import annotations

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._unary import unary_call


class Neg(StandardOp):
    """-x."""

    operands = (Operand.FACTOR,)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        return NodeProof((None,)) if grid is None else NodeProof((grid.with_limits(-grid.hi, -grid.lo),), grid.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return unary_call(node, "negate")
