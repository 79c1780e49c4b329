"""Min of several tensors, element by element."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._elementwise import elementwise_call, extremum


class Min(StandardOp):
    """Elementwise minimum."""

    moves = True

    operands = (Operand.ADDEND,)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        return extremum(node, np.minimum)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return elementwise_call(node, proof, "MINIMUM")
