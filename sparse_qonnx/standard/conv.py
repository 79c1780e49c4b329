"""Conv: a dense convolution after the sparse part."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import Grid, NodeContext, NodeProof, bits_of, products
from sparse_qonnx.hlscall import ConfigValue, HlsCall, HlsTable, numerators, sample_shape
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp

DIMENSIONS = 3
"""Of images that the kernel knows."""


class Conv(StandardOp):
    """Channels-first convolution with constant weights."""

    operands = (Operand.FACTOR, Operand.FACTOR, Operand.ADDEND)

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
        limits = np.minimum(lo_c, 0).reshape(per_group), np.maximum(hi_c, 0).reshape(per_group)
        taps = weights.lo.reshape(group, filters // group, group_channels, -1)
        low, high = (side.sum(axis=(2, 3)).reshape(filters) for side in products(*limits, taps))
        place = (filters, *(1,) * len(window))
        out = Grid(low.reshape(place), high.reshape(place), x.frac + weights.frac, x.divisor, x.rounded_in_sums)
        bits = max(bits_of(low, high), x.bits, weights.bits)
        if bias is not None:
            fine = out.at(max(out.frac, bias.frac))
            addend = bias.at(fine.frac).lo.reshape(place) * fine.divisor
            out = fine.with_limits(fine.lo + addend, fine.hi + addend)
            bits = max(bits, fine.bits, out.bits)
        return NodeProof((out,), bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        x, weights, out = node.grids[0], node.grids[1], proof.outputs[0]
        assert x is not None and weights is not None and out is not None
        bias = node.grids[2] if len(node.grids) > 2 else None
        (channels, *sizes), (filters, *outs) = sample_shape(node.shapes[0]), sample_shape(node.output_shapes[0])
        missing = DIMENSIONS - len(sizes)
        if missing < 0 or node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
            problem = f"has {len(sizes)} dimensions, auto_pad {node.attributes.get('auto_pad', 'NOTSET')!r}"
            allowed = f"at most {DIMENSIONS} dimensions, pads as numbers"
            raise UnsupportedNodeError(node.where, problem, allowed=allowed, fix="write the pads out")
        config: dict[str, ConfigValue] = {"n_channels": channels, "n_filters": filters}
        config["n_groups"] = int(node.attributes.get("group", 1))
        geometry = {
            "size": (1, sizes),
            "kernel": (1, weights.lo.shape[2:]),
            "out": (1, outs),
            "stride": (1, node.attributes.get("strides", [1] * len(sizes))),
            "dilation": (1, node.attributes.get("dilations", [1] * len(sizes))),
            "pad": (0, node.attributes.get("pads", [0] * len(sizes))[: len(sizes)]),
        }
        for name, (absent, given) in geometry.items():
            config |= {f"{name}_{n}": int(v) for n, v in enumerate([*(absent,) * missing, *given])}
        config |= {"pixels_per_cycle": 1, "accum_t": Grid(out.lo, out.hi, out.frac).with_zero()}
        biases = np.zeros(filters, dtype=object) if bias is None else numerators(bias, x.divisor)
        tables = (
            HlsTable("weights", numerators(weights), weights.frac),
            HlsTable("biases", biases, min(out.frac, 0) if bias is None else bias.frac),
        )
        return HlsCall("conv", (0,), config, tables)
