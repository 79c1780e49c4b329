"""ReduceMean over the image: global average pooling."""

from __future__ import annotations

import math

import numpy as np

from sparse_qonnx.grid import Grid, NodeContext, NodeProof, bits_of
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand, SumWriter, odd_part
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard.reduce_max import reduction_call, sample_axes


class ReduceMean(StandardOp):
    """Mean over sample axes; a count that is no power of two leaves its odd part as pending divisor."""

    operands = (Operand.FACTOR, Operand.VALUE)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid, axes = node.grids[0], sample_axes(node)
        sample = node.shapes[0][1:]
        if grid is None or axes is None or not all(isinstance(d, int) for d in sample):
            return NodeProof((None,))
        keep = bool(node.attributes.get("keepdims", 1))
        whole = tuple(int(d) for d in sample if isinstance(d, int))
        count = math.prod(whole[a] for a in axes)
        lo, hi = (np.broadcast_to(a, whole).sum(axis=axes, keepdims=keep) for a in (grid.lo, grid.hi))
        partial = max(
            bits_of(np.broadcast_to(a, whole).sum(axis=axes, keepdims=True))
            for a in (np.minimum(grid.lo, 0), np.maximum(grid.hi, 0))
        )
        twos = (count & -count).bit_length() - 1
        out = Grid(lo, hi, grid.frac + twos, grid.divisor * (count >> twos), grid.rounded_in_sums)
        return NodeProof((out,), max(partial, out.bits))

    @classmethod
    def as_sum(cls, node: NodeContext, write: SumWriter) -> int | None:
        """ReduceSum; the axes are an input in every opset that has this operator of ours."""
        axes = sample_axes(node)
        sample = node.shapes[0][1:]
        if axes is None or not all(isinstance(d, int) for d in sample):
            return None
        count = math.prod(int(sample[a] or 0) for a in axes)
        if count == 0 or odd_part(count) == 1:
            return None
        write.last("ReduceSum", list(write.inputs), **node.attributes)
        return count

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return reduction_call(node, proof, "AVERAGE")
