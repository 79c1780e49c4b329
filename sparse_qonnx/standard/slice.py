"""Slice of sample axes."""

from __future__ import annotations

import math

import numpy as np

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsAlias, HlsCall, sample_shape, strides_of, view
from sparse_qonnx.standard._base import StandardOp


class Slice(StandardOp):
    """A part of each axis; the limits follow where they are held per element of that axis."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        parts = parts_of(node)
        if grid is None or parts is None:
            return NodeProof((None,))
        within = tuple(part if length > 1 else slice(None) for part, length in zip(parts, grid.lo.shape, strict=True))
        return NodeProof((grid.with_limits(grid.lo[within], grid.hi[within]),), grid.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall | HlsAlias:
        shape, parts = sample_shape(node.shapes[0]), parts_of(node)
        assert parts is not None
        ranges = [range(*part.indices(size)) for part, size in zip(parts, shape, strict=True)]
        strides = strides_of(shape)
        if all(len(r) == size for r, size in zip(ranges, shape, strict=True)):
            return HlsAlias()
        first = sum(r.start * stride for r, stride in zip(ranges, strides, strict=True))
        steps = [r.step * stride for r, stride in zip(ranges, strides, strict=True)]
        seen = view(node.where, [len(r) for r in ranges], steps)
        return HlsCall("transpose", config={"n_data": math.prod(shape), "first": first, "data_view": seen})


def parts_of(node: NodeContext) -> tuple[slice, ...] | None:
    """The part of each axis of a sample; None where it is not constant, cuts the batch or goes backwards."""
    rank, bounds = len(node.shapes[0]), [None if c is None else np.ravel(c) for c in node.constants[1:]]
    if len(bounds) < 3 or bounds[0] is None or bounds[1] is None or bounds[2] is None:
        return None
    steps = bounds[3] if len(bounds) > 3 and bounds[3] is not None else np.ones_like(bounds[2])
    parts = [slice(None)] * rank
    for start, end, axis, step in zip(bounds[0], bounds[1], bounds[2], steps, strict=True):
        parts[int(axis) % rank] = slice(int(start), int(end), int(step))
    return None if parts[0] != slice(None) or (steps <= 0).any() else tuple(parts[1:])
