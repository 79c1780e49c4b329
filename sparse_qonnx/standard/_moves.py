"""What operators that move values, and change none, have in common: each says where every value comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from onnx import NodeProto

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import Array, Grid, NodeContext, NodeProof, common_grid
from sparse_qonnx.hlscall import HlsAlias, HlsCall, HlsTable, Signed, View, sample_shape, view
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp


class Move(StandardOp):
    """Places of the results are places of the first input, or hold one constant."""

    moves: ClassVar[bool] = True

    operands: ClassVar[tuple[Operand, ...]] = (Operand.FACTOR, Operand.VALUE)

    @classmethod
    def moved(cls, node: NodeContext, values: Array, fill: int) -> tuple[Array, ...] | None:
        """The results for one event `[1, *sample]` of anything at all, `fill` where the constant comes in.

        None where the events themselves are moved, or what says where to is not constant.
        """
        raise NotImplementedError

    @classmethod
    def fill(cls, node: NodeContext) -> Grid | None:
        """The constant, where there can be one."""
        return None

    @classmethod
    def passed_on(cls, node: NodeProto, constants: Mapping[str, Array]) -> dict[str, int]:
        return unchanged(node)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid, unknown = node.grids[0], NodeProof((None,) * len(node.output_shapes))
        if grid is None or node.constants[0] is not None or not _keeps_events(node):
            return unknown
        sample, filler = sample_shape(node.shapes[0]), cls.fill(node)
        if filler is not None:
            grid, filler = common_grid(grid, filler)
        lows, highs = (
            cls.moved(node, np.broadcast_to(side, sample)[None], 0 if filler is None else filler.lowest)
            for side in (grid.lo, grid.hi)
        )
        if lows is None or highs is None:
            return unknown
        # The first axis is the event, which limits do not have.
        results = tuple(grid.with_limits(*compact(lo[0], hi[0])) for lo, hi in zip(lows, highs, strict=True))
        return NodeProof(results, max(grid.bits, *(r.bits for r in results)))

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> tuple[HlsCall | HlsAlias, ...]:
        shape, grid, filler = sample_shape(node.shapes[0]), node.grids[0], cls.fill(node)
        size = int(np.prod(shape, dtype=np.int64))
        places = cls.moved(node, np.arange(size).reshape(1, *shape), size)
        assert places is not None and grid is not None
        return tuple(
            wires(node.where, size, result[0], grid if filler is None else common_grid(grid, filler)[1], out)
            for result, out in zip(places, proof.outputs, strict=True)
        )


def unchanged(node: NodeProto) -> dict[str, int]:
    """`passed_on` of operators that only move values."""
    return dict.fromkeys(node.output, 0)


def compact(lo: Array, hi: Array) -> tuple[Array, Array]:
    """The same limits with length 1 along every axis on which all are alike."""
    for axis in range(lo.ndim):
        first = tuple(slice(1) if n == axis else slice(None) for n in range(lo.ndim))
        if lo.shape[axis] > 1 and (lo == lo[first]).all() and (hi == hi[first]).all():
            lo, hi = lo[first], hi[first]
    return lo, hi


def _keeps_events(node: NodeContext) -> bool:
    """Whether results have as many events as the input, or as many as one likes: that is the first dimension."""
    events = {
        shape[0] if isinstance(shape[0], int) else None for shape in (node.shapes[0], *node.output_shapes) if shape
    }
    return len(events) == 1 and all((node.shapes[0], *node.output_shapes))


def wires(where: str, size: int, places: Array, filler: Grid, out: Grid | None) -> HlsCall | HlsAlias:
    """The call that puts value `places[i]` of `size` values into place i; places of `size` hold the constant.

    Raises:
        UnsupportedNodeError: the result holds no value.
    """
    if places.size == 0:
        raise UnsupportedNodeError(where, f"has a result of shape {list(places.shape)}", allowed="one value or more")
    flat = np.ravel(places)
    if flat.size == size and (flat == np.arange(size)).all():
        return HlsAlias()
    seen = _strided(where, places)
    if seen is not None:
        return HlsCall("transpose", config={"n_data": size, "first": int(flat[0]), "data_view": seen})
    assert out is not None
    constant = filler.lowest if (flat == size).any() else 0
    kept = Grid(np.array([constant], dtype=object), np.array([constant], dtype=object), out.frac)
    return HlsCall(
        "rearrange",
        config={"n_data": size, "n_values": flat.size, "fill": Signed(constant), "fill_t": kept},
        tables=(HlsTable("places", flat.astype(object), is_integer=True),),
    )


def _strided(where: str, places: Array) -> View | None:
    """The places as a view that starts at the first of them, where they are one that the kernel knows."""
    origin = places[(0,) * places.ndim]
    strides = [0] * places.ndim
    for axis in range(places.ndim):
        if places.shape[axis] > 1:
            strides[axis] = int(places[tuple(int(n == axis) for n in range(places.ndim))] - origin)
    straight = np.full(places.shape, origin)
    index: tuple[Array, ...] = np.indices(places.shape, sparse=True)
    for stride, steps in zip(strides, index, strict=True):
        straight += stride * steps
    if min(strides, default=0) < 0 or (straight != places).any():
        return None
    try:
        return view(where, places.shape, strides)
    except UnsupportedNodeError:
        return None
