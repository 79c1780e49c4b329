"""Concat along the channels."""

from __future__ import annotations

import math

import numpy as np

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import Array, Grid, NodeContext, NodeProof, common_grid
from sparse_qonnx.hlscall import HlsCall, factor, sample_shape
from sparse_qonnx.standard._base import StandardOp


class Concat(StandardOp):
    """Concatenation along the last axis."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        axis, rank = node.attributes.get("axis", -1), len(node.output_shapes[0])
        grids = [g for g in node.grids if g is not None]
        if axis % rank != rank - 1 or len(grids) != len(node.grids):
            return NodeProof((None,))
        common = grids[0]
        for grid in grids[1:]:
            common = common_grid(common, grid)[0]
        parts = [_full(common_grid(g, common)[0], shape[-1]) for g, shape in zip(grids, node.shapes, strict=True)]
        frac, divisor = parts[0].frac, parts[0].divisor
        lo, hi = (_join([getattr(p, side) for p in parts]) for side in ("lo", "hi"))
        out = Grid(lo, hi, frac, divisor, any(p.rounded for p in parts))
        return NodeProof((out,), out.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        out, grids = proof.outputs[0], [g for g in node.grids if g is not None]
        if len(grids) != 2 or out is None or any(c is not None for c in node.constants):
            raise UnsupportedNodeError(
                node.where,
                f"concatenates {len(node.shapes)} tensors",
                allowed="2 tensors, neither constant",
                fix="nest them",
            )
        a, b = (sample_shape(s) for s in node.shapes)
        factors = [out.divisor // g.divisor for g in grids]
        config = {"n_rows": math.prod(a[:-1]), "a_columns": a[-1], "b_columns": b[-1]}
        return HlsCall("concat", (0, 1), {**config, **factor("a", factors[0]), **factor("b", factors[1])})


def _full(grid: Grid, channels: int | str | None) -> Grid:
    assert isinstance(channels, int)
    shape = (*grid.lo.shape[:-1], channels)
    return grid.with_limits(np.broadcast_to(grid.lo, shape), np.broadcast_to(grid.hi, shape))


def _join(arrays: list[Array]) -> Array:
    shape = np.broadcast_shapes(*(a.shape[:-1] for a in arrays))
    return np.concatenate([np.broadcast_to(a, (*shape, a.shape[-1])) for a in arrays], axis=-1)
