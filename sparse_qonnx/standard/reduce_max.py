"""ReduceMax: the largest value of an image or a window."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from sparse_qonnx.grid import Grid, NodeContext, NodeProof
from sparse_qonnx.hlscall import ConfigValue, HlsCall, Symbol, sample_shape, strides_of, view
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp


class ReduceMax(StandardOp):
    """Maximum over sample axes."""

    operands = (Operand.FACTOR, Operand.VALUE)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        return extreme_proof(node, np.max)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return reduction_call(node, proof, "MAX")


def extreme_proof(node: NodeContext, extreme: Callable[..., Any]) -> NodeProof:
    """The largest or smallest value over axes lies between that of the lower and that of the upper limits."""
    grid, axes = node.grids[0], sample_axes(node)
    if grid is None or axes is None:
        return NodeProof((None,))
    keep = bool(node.attributes.get("keepdims", 1))
    lo, hi = (extreme(a, axis=axes, keepdims=keep) for a in (grid.lo, grid.hi))
    return NodeProof((grid.with_limits(lo, hi),), grid.bits)


def sample_axes(node: NodeContext) -> tuple[int, ...] | None:
    """The reduced axes, counted within one sample; None where the batch is reduced or the axes are not constant."""
    axes = node.constants[1] if len(node.constants) > 1 else None
    rank = len(node.shapes[0])
    if axes is None or rank == 0:
        return None
    positions = sorted(int(a) % rank for a in np.ravel(axes))
    return None if 0 in positions else tuple(p - 1 for p in positions)


def reduction_call(node: NodeContext, proof: NodeProof, mode: str) -> HlsCall:
    """The kernel call of a reduction over axes of one sample."""
    grid, out, axes, shape = node.grids[0], proof.outputs[0], sample_axes(node), sample_shape(node.shapes[0])
    assert grid is not None and out is not None and axes is not None
    strides = strides_of(shape)
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    views = [view(node.where, [shape[a] for a in part], [strides[a] for a in part]) for part in (kept, axes)]
    config: dict[str, ConfigValue] = {"mode": Symbol("pooling", mode)}
    config |= {"n_terms": math.prod(shape[a] for a in axes), "kept_view": views[0], "reduced_view": views[1]}
    return HlsCall(
        "reduce", config={**config, "average_shift": out.frac - grid.frac, "accum_t": _reach(grid, shape, axes, mode)}
    )


def _reach(grid: Grid, shape: tuple[int, ...], axes: tuple[int, ...], mode: str) -> Grid:
    """What the kernel holds on the way: any value, or any partial sum."""
    values = Grid(grid.lo, grid.hi, grid.frac)
    if mode in ("MAX", "MIN"):
        return values
    low, high = (np.broadcast_to(a, shape) for a in (np.minimum(grid.lo, 0), np.maximum(grid.hi, 0)))
    return values.with_limits(low.sum(axis=axes), high.sum(axis=axes))
