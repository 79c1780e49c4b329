"""Relu."""

from __future__ import annotations

import math

from sparse_qonnx.grid import NodeContext, NodeProof, relu
from sparse_qonnx.hlscall import HlsCall, sample_shape
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp


class Relu(StandardOp):
    """max(x, 0): keeps the grid and a pending divisor."""

    operands = (Operand.FACTOR,)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        return NodeProof((None if grid is None else relu(grid),), 0 if grid is None else grid.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return HlsCall("relu", config={"n_values": math.prod(sample_shape(node.shapes[0]))})
