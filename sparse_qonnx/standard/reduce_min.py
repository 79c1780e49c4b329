"""ReduceMin."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard.reduce_max import extreme_proof, reduction_call


class ReduceMin(StandardOp):
    """Minimum over sample axes."""

    operands = (Operand.FACTOR, Operand.VALUE)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        return extreme_proof(node, np.min)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return reduction_call(node, proof, "MIN")
