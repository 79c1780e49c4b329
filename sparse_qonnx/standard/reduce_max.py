"""ReduceMax over the image: global max pooling."""

from __future__ import annotations

import math

import numpy as np

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import Grid, NodeContext, NodeProof
from sparse_qonnx.hlscall import ConfigValue, HlsCall, Symbol, sample_shape
from sparse_qonnx.standard._base import StandardOp


class ReduceMax(StandardOp):
    """Maximum over sample axes."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid, axes = node.grids[0], sample_axes(node)
        if grid is None or axes is None:
            return NodeProof((None,))
        keep = bool(node.attributes.get("keepdims", 1))
        lo, hi = (a.max(axis=axes, keepdims=keep) for a in (grid.lo, grid.hi))
        return NodeProof((grid.with_limits(lo, hi),), grid.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return reduction_call(node, proof, "MAX")


def sample_axes(node: NodeContext) -> tuple[int, ...] | None:
    """The reduced axes, counted within one sample; None where the batch is reduced or the axes are not constant."""
    axes = node.constants[1] if len(node.constants) > 1 else None
    if axes is None:
        return None
    rank = len(node.shapes[0])
    positions = sorted(int(a) % rank for a in np.ravel(axes))
    return None if 0 in positions else tuple(p - 1 for p in positions)


def reduction_call(node: NodeContext, proof: NodeProof, mode: str) -> HlsCall:
    """The kernel call of a reduction over all axes of the image but the channels."""
    grid, out, axes = node.grids[0], proof.outputs[0], sample_axes(node)
    assert grid is not None and out is not None
    *rows, channels = sample_shape(node.shapes[0])
    if axes != tuple(range(len(rows))):
        raise UnsupportedNodeError(
            node.where, f"reduces axes {axes} of one event", allowed="all but the last, the channels"
        )
    config: dict[str, ConfigValue] = {"mode": Symbol("pooling", mode)}
    config |= {"n_rows": math.prod(rows), "n_channels": channels}
    accum = Grid(out.lo, out.hi, grid.frac).with_zero()
    return HlsCall("global_pool", config={**config, "average_shift": out.frac - grid.frac, "accum_t": accum})
