"""GlobalAveragePool."""

from __future__ import annotations

import math

import numpy as np

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand, SumWriter
from sparse_qonnx.standard._base import StandardOp


class GlobalAveragePool(StandardOp):
    """The mean of a channels-first image; files that we make hold the sum instead."""

    operands = (Operand.FACTOR,)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        """Nothing: `passes.carry_divisors` writes it as a sum, of which everything is known."""
        return NodeProof((None,))

    @classmethod
    def as_sum(cls, node: NodeContext, write: SumWriter) -> int | None:
        sizes = [n for n in node.shapes[0][2:] if isinstance(n, int)]
        if not sizes or len(sizes) != len(node.shapes[0]) - 2:
            return None
        axes = write.constant("axes", np.arange(2, len(node.shapes[0])))
        write.last("ReduceSum", [write.inputs[0], axes], keepdims=1)
        return math.prod(sizes)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        """Firmware has its sums; the average itself is left only where they could not be written."""
        raise UnsupportedNodeError(node.where, f"averages {list(node.shapes[0])}", allowed="images of known size")
