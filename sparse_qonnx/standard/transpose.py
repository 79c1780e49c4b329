"""Transpose that keeps the batch first."""

from __future__ import annotations

import math

import numpy as np

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsAlias, HlsCall, sample_shape, strides_of, view
from sparse_qonnx.standard._base import StandardOp


class Transpose(StandardOp):
    """Permuted axes; the limits follow."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid, rank = node.grids[0], len(node.shapes[0])
        order = tuple(node.attributes.get("perm", range(rank)[::-1]))
        if grid is None or node.constants[0] is not None or order[0] != 0:
            return NodeProof((None,))
        within = tuple(axis - 1 for axis in order[1:])
        return NodeProof((grid.with_limits(np.transpose(grid.lo, within), np.transpose(grid.hi, within)),), grid.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall | HlsAlias:
        shape = sample_shape(node.shapes[0])
        order = [axis - 1 for axis in node.attributes.get("perm", [0, *range(len(shape), 0, -1)])[1:]]
        strides = strides_of(shape)
        seen = view(node.where, [shape[axis] for axis in order], [strides[axis] for axis in order])
        if len(seen.shape) <= 1 and seen.strides in ((), (1,)):
            return HlsAlias()
        return HlsCall("transpose", config={"n_data": math.prod(shape), "first": 0, "data_view": seen})
