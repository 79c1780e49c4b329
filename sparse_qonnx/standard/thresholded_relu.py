"""ThresholdedRelu: keras.layers.ReLU(threshold=...)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from sparse_qonnx.grid import Grid, NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall, Signed
from sparse_qonnx.scaling import Operand, carried_threshold
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._unary import unary_call


class ThresholdedRelu(StandardOp):
    """x where x > alpha, else 0. The comparison is exact whatever alpha is, so the grid stays."""

    operands = (Operand.FACTOR,)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        if grid is None:
            return NodeProof((None,))
        first = first_above(node, grid)
        lo = np.maximum(np.minimum(grid.lo, 0), min(first, 0))
        return NodeProof((grid.with_limits(lo, np.maximum(grid.hi, 0)),), grid.bits)

    @classmethod
    def carried_attributes(cls, node: NodeContext, divisor: int) -> dict[str, Any] | None:
        """The threshold between the same two numerators."""
        alpha = carried_threshold(node.grids[0], float(node.attributes.get("alpha", 1.0)), divisor)
        return None if alpha is None else {"alpha": alpha}

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        grid = node.grids[0]
        assert grid is not None
        first = min(max(first_above(node, grid), grid.lowest), grid.highest + 1)
        return unary_call(node, "thresholded_relu", first=Signed(first))


def first_above(node: NodeContext, grid: Grid) -> int:
    """The smallest numerator above the threshold."""
    threshold = Fraction(float(node.attributes.get("alpha", 1.0)))
    return math.floor(threshold * grid.divisor * Fraction(2) ** grid.frac) + 1
