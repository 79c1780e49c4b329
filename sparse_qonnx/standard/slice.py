"""Slice of sample axes, forwards or backwards."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import Array, NodeContext
from sparse_qonnx.standard._moves import Move

ANY = 10**9
"""More events than there are: what tf2onnx writes where a slice has no end."""


class Slice(Move):
    """A part of each axis, in steps that may go backwards."""

    @classmethod
    def moved(cls, node: NodeContext, values: Array, fill: int) -> tuple[Array, ...] | None:
        starts, ends, axes, steps = (_integers(node, position) for position in range(1, 5))
        is_given = [len(node.shapes) > position and node.shapes[position] != () for position in (3, 4)]
        if starts is None or ends is None or (is_given[0] and axes is None) or (is_given[1] and steps is None):
            return None
        parts = [slice(None)] * values.ndim
        every = zip(starts, ends, axes or range(len(starts)), steps or [1] * len(starts), strict=True)
        for start, end, axis, step in every:
            parts[axis % values.ndim] = slice(start, end, step)
        return None if parts[0].indices(ANY) != (0, ANY, 1) else (values[tuple(parts)],)


def _integers(node: NodeContext, position: int) -> list[int] | None:
    """A constant input; None where there is none, or it is data."""
    constant = node.constants[position] if len(node.constants) > position else None
    return None if constant is None else [int(v) for v in np.ravel(constant)]
