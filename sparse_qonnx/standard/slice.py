"""Slice of sample axes."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.standard._base import StandardOp


class Slice(StandardOp):
    """A part of each axis; the limits follow where they are held per element of that axis."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid, rank = node.grids[0], len(node.shapes[0])
        bounds = [np.ravel(c) if c is not None else None for c in node.constants[1:]]
        if grid is None or len(bounds) < 3 or bounds[0] is None or bounds[1] is None or bounds[2] is None:
            return NodeProof((None,))
        steps = bounds[3] if len(bounds) > 3 and bounds[3] is not None else np.ones_like(bounds[2])
        parts = [slice(None)] * rank
        for start, end, axis, step in zip(bounds[0], bounds[1], bounds[2], steps, strict=True):
            parts[int(axis) % rank] = slice(int(start), int(end), int(step))
        if parts[0] != slice(None) or (steps <= 0).any():
            return NodeProof((None,))
        within = tuple(
            part if length > 1 else slice(None) for part, length in zip(parts[1:], grid.lo.shape, strict=True)
        )
        return NodeProof((grid.with_limits(grid.lo[within], grid.hi[within]),), grid.bits)
