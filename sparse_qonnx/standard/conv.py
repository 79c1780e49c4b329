"""Conv: a dense convolution after the sparse part."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import Grid, NodeContext, NodeProof, bits_of, products
from sparse_qonnx.standard._base import StandardOp


class Conv(StandardOp):
    """Channels-first convolution with constant weights."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        x, weights = node.grids[:2]
        bias = node.grids[2] if len(node.grids) > 2 else None
        if x is None or weights is None or weights.lo is not weights.hi:
            return NodeProof((None,))
        group = int(node.attributes.get("group", 1))
        filters, group_channels, *window = weights.lo.shape
        # one interval per channel, zeros of the padding included
        axes = tuple(range(1, x.lo.ndim))
        shape = (group * group_channels,)
        lo_c, hi_c = np.broadcast_to(x.lo.min(axis=axes), shape), np.broadcast_to(x.hi.max(axis=axes), shape)
        per_group = (group, 1, group_channels, 1)
        limits = Grid(np.minimum(lo_c, 0).reshape(per_group), np.maximum(hi_c, 0).reshape(per_group), 0)
        taps = weights.lo.reshape(group, filters // group, group_channels, -1)
        low, high = (side.sum(axis=(2, 3)).reshape(filters) for side in products(limits, taps))
        place = (filters, *(1,) * len(window))
        rounded = x.rounded or x.divisor != 1
        out = Grid(low.reshape(place), high.reshape(place), x.frac + weights.frac, x.divisor, rounded)
        bits = max(bits_of(low, high), x.bits, weights.bits)
        if bias is not None:
            fine = out.at(max(out.frac, bias.frac))
            addend = bias.at(fine.frac).lo.reshape(place) * fine.divisor
            out = fine.with_limits(fine.lo + addend, fine.hi + addend)
            bits = max(bits, fine.bits, out.bits)
        return NodeProof((out,), bits)
