"""Where."""

from __future__ import annotations

from sparse_qonnx.grid import NodeContext, NodeProof, common_grid, union
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._elementwise import as_sample
from sparse_qonnx.standard._truth import refuse_firmware


class Where(StandardOp):
    """One of two numbers, by a truth value."""

    moves = True

    operands = (Operand.VALUE, Operand.ADDEND, Operand.ADDEND)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        condition, a, b = node.grids
        if a is None or b is None or (condition is None and node.constants[0] is None):
            return NodeProof((None,))
        a, b = (as_sample(node, n, grid) for n, grid in ((1, a), (2, b)))
        return NodeProof((union(a, b),), max(grid.bits for grid in common_grid(a, b)))

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        refuse_firmware(node)
