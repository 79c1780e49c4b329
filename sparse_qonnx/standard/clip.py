"""Clip between constants: relu6 and other bounded activations."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import NodeContext, NodeProof, common_grid
from sparse_qonnx.standard._base import StandardOp


class Clip(StandardOp):
    """Values outside [min, max] become the nearer limit."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        if grid is None:
            return NodeProof((None,))
        bits = grid.bits
        for limit, clipped in zip(node.grids[1:], (np.maximum, np.minimum), strict=False):
            if limit is not None:
                grid, bound = common_grid(grid, limit)
                grid = grid.with_limits(clipped(grid.lo, bound.lowest), clipped(grid.hi, bound.lowest))
                bits = max(bits, grid.bits, bound.bits)
        return NodeProof((grid,), bits)
