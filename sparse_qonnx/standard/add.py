"""Add."""

from __future__ import annotations

from sparse_qonnx.grid import NodeContext, NodeProof, add, common_grid
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._elementwise import as_sample, elementwise_call


class Add(StandardOp):
    """Sum of two tensors, or of a tensor and a constant bias."""

    operands = (Operand.ADDEND,)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        a, b = node.grids
        if a is None or b is None:
            return NodeProof((None,))
        out = add(*(as_sample(node, n, g) for n, g in enumerate((a, b))))
        return NodeProof((out,), max(*(g.bits for g in common_grid(a, b)), out.bits))

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return elementwise_call(node, proof, "ADD")
