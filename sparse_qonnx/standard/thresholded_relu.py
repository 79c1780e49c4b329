"""ThresholdedRelu: keras.layers.ReLU(threshold=...)."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.standard._base import StandardOp


class ThresholdedRelu(StandardOp):
    """x where x > alpha, else 0. The comparison is exact whatever alpha is, so the grid stays."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        if grid is None:
            return NodeProof((None,))
        step = 2.0**-grid.frac / grid.divisor
        first = int(np.floor(float(node.attributes.get("alpha", 1.0)) / step)) + 1
        lo = np.maximum(np.minimum(grid.lo, 0), min(first, 0))
        return NodeProof((grid.with_limits(lo, np.maximum(grid.hi, 0)),), grid.bits)
