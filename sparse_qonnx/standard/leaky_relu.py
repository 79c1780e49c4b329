"""LeakyRelu with a slope that is a power of two."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.grid import Grid, NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._unary import unary_call


class LeakyRelu(StandardOp):
    """x, or alpha * x where x < 0; on a grid when alpha = 2**-s, which moves the binary point by s."""

    operands = (Operand.FACTOR,)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        slope = Grid.of_constant(np.array([node.attributes.get("alpha", 0.01)]), where=node.where)
        if grid is None or slope.highest != 1:
            return NodeProof((None,))
        shift = max(slope.frac, 0)
        fine = grid.at(grid.frac + shift)
        weight = 1 << (shift - slope.frac)
        lo, hi = (np.where(a < 0, a * weight, b) for a, b in ((grid.lo, fine.lo), (grid.hi, fine.hi)))
        out = fine.with_limits(lo, hi)
        return NodeProof((out,), max(out.bits, fine.bits))

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        slope = Grid.of_constant(np.array([node.attributes.get("alpha", 0.01)]))
        return unary_call(node, "leaky_relu", slope_t=FixedPointType(False, 1, 1 - slope.frac))
