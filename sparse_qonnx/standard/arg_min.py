"""ArgMin."""

from __future__ import annotations

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard.arg_max import place_call, place_proof


class ArgMin(StandardOp):
    """The place of the smallest value along an axis, the first one of equal ones: an integer."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        return place_proof(node)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return place_call(node, "MIN")
