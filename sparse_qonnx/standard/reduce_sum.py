"""ReduceSum over sample axes."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import Grid, NodeContext, NodeProof, bits_of
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard.reduce_max import reduction_call, sample_axes


class ReduceSum(StandardOp):
    """Sum over sample axes."""

    operands = (Operand.FACTOR, Operand.VALUE)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid, axes = node.grids[0], sample_axes(node)
        whole = tuple(d for d in node.shapes[0][1:] if isinstance(d, int))
        if grid is None or axes is None or len(whole) != len(node.shapes[0]) - 1:
            return NodeProof((None,))
        keep = bool(node.attributes.get("keepdims", 1))
        lo, hi = (np.broadcast_to(a, whole).sum(axis=axes, keepdims=keep) for a in (grid.lo, grid.hi))
        extremes = (np.minimum(grid.lo, 0), np.maximum(grid.hi, 0))
        partial = max(bits_of(np.broadcast_to(a, whole).sum(axis=axes, keepdims=True)) for a in extremes)
        out = Grid(lo, hi, grid.frac, grid.divisor, grid.rounded_in_sums)
        return NodeProof((out,), max(partial, grid.bits, out.bits))

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return reduction_call(node, proof, "SUM")
