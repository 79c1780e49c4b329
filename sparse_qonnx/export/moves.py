"""Layers that move values and change none: found out by what they do with numbered values, said in standard ONNX."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from sparse_qonnx.export.quantizers import to_numpy
from sparse_qonnx.graph import GraphBuilder

Array = NDArray[Any]

_EVENTS = 3
_MOST = 1 << 22
"""Values that float32 can number in every event."""


@dataclass(frozen=True)
class Moved:
    """Where the values of a result come from.

    Attributes:
        places: for one event, the place of each value in the flat input; -1 where it is constant.
        constant: what stands there.
    """

    places: Array
    constant: float = 0.0


def find_moves(function: Any, shape: Sequence[int]) -> list[Moved] | None:
    """What a function of a tensor `[B, *shape]` does with its values; None where it does more than move them.

    The function must belong to a class that only moves values: no other is told by numbers that were tried.
    """
    import keras

    size = math.prod(shape)
    if not 0 < size <= _MOST:
        return None
    given = [
        np.arange(1, size + 1) + size * np.arange(_EVENTS)[:, None],
        # in disorder, so that what sorts or interpolates is told from what moves
        np.random.default_rng(0).permutation(size * _EVENTS).reshape(_EVENTS, size) - size,
    ]
    results = [
        keras.tree.flatten(function(keras.ops.convert_to_tensor(values.reshape(-1, *shape), dtype="float32")))
        for values in given
    ]
    found = [_moved(to_numpy(result).astype(np.float64), size) for result in results[0]]
    moves = [move for move in found if move is not None]
    if len(moves) != len(found):
        return None
    expected = (np.where(m.places < 0, m.constant, given[1][:, m.places]) for m in moves)
    agree = (np.array_equal(to_numpy(result), wanted) for result, wanted in zip(results[1], expected, strict=True))
    return moves if all(agree) else None


def _moved(result: Array, size: int) -> Moved | None:
    if result.ndim == 0 or len(result) != _EVENTS:
        return None
    first, steps = result[0], np.diff(result, axis=0)
    own, constant = (steps == size).all(axis=0), (steps == 0).all(axis=0)
    values = np.unique(first[constant])
    outside = (first < 1) | (first > size) | (first != np.rint(first))
    if not (own | constant).all() or len(values) > 1 or outside[own].any():
        return None
    return Moved(np.where(own, first - 1, -1).astype(np.int64), float(values[0]) if len(values) else 0.0)


class Mover:
    """Writes a move as nodes: whichever of Reshape, Transpose, Slice, Gather and Pad say it.

    Args:
        graph: graph to append to.
        name: name of the result; what lies before it is named after it.
    """

    def __init__(self, graph: GraphBuilder, name: str) -> None:
        self.graph = graph
        self.name = name
        self._steps: list[tuple[str, list[Array], dict[str, Any]]] = []

    def emit(self, source: str, shape: Sequence[int], move: Moved) -> str | None:
        """Append the nodes; the name of the result, None where the constant is not around the values."""
        inner = self._padded(move)
        if inner is None:
            return None
        places, pads = inner
        self._rearrange(places, tuple(shape))
        if pads:
            kind = helper.tensor_dtype_to_np_dtype(self.graph.elem_type(source))
            self._steps.append(("Pad", [np.array(pads), np.array(move.constant, dtype=kind)], {}))
        for n, (op_type, constants, attributes) in enumerate(self._steps):
            name = self.name if n == len(self._steps) - 1 else f"{self.name}.{op_type.lower()}"
            parts = [self.graph.constant(f"{name}.{k}", c) for k, c in zip(_NAMES[op_type], constants, strict=False)]
            (source,) = self.graph.node(op_type, [source, *parts], [name], **attributes)
        return source

    def _padded(self, move: Moved) -> tuple[Array, list[int]] | None:
        """The part that holds values, and the constants around it."""
        places = move.places
        if (places >= 0).all():
            return places, []
        spans = []
        for axis in range(places.ndim):
            used = np.flatnonzero((places >= 0).any(axis=tuple(n for n in range(places.ndim) if n != axis)))
            if not used.size:
                return None
            spans.append((int(used[0]), int(used[-1]) + 1))
        part = places[tuple(slice(*span) for span in spans)]
        if (part < 0).any():
            return None
        before = [start for start, _ in spans]
        after = [n - end for n, (_, end) in zip(places.shape, spans, strict=True)]
        return part, [0, *before, 0, *after]

    def _rearrange(self, places: Array, shape: tuple[int, ...]) -> None:
        flat, size = places.ravel(), math.prod(shape)
        if flat.size == size and (flat == np.arange(size)).all():
            self._reshape(places.shape, shape)
            return
        order = _order(flat, shape)
        if order is not None:
            self._steps.append(("Transpose", [], {"perm": [0, *(axis + 1 for axis in order)]}))
            self._reshape(places.shape, tuple(shape[axis] for axis in order))
            return
        chosen = _along_axes(places, shape)
        if chosen is None:
            self._reshape((size,), shape)
            self._steps.append(("Gather", [places], {"axis": 1}))
            return
        self._choose(chosen, shape)
        self._reshape(places.shape, tuple(len(c) for c in chosen))

    def _reshape(self, shape: tuple[int, ...], given: tuple[int, ...]) -> None:
        if shape != given:
            self._steps.append(("Reshape", [np.array([0, *shape], dtype=np.int64)], {}))

    def _choose(self, chosen: list[Array], shape: tuple[int, ...]) -> None:
        """One Slice for all axes of which evenly spaced places are taken, a Gather for each other one."""
        spans: list[tuple[int, int, int, int]] = []
        gathers: list[tuple[int, Array]] = []
        for axis, (places, size) in enumerate(zip(chosen, shape, strict=True), start=1):
            step = int(places[1] - places[0]) if len(places) > 1 else 1
            if np.array_equal(places, np.arange(size)):
                continue
            if step and (np.diff(places) == step).all():
                end = int(places[-1]) + (1 if step > 0 else -1)
                spans.append((int(places[0]), end if end >= 0 else -size - 1, axis, step))
            else:
                gathers.append((axis, places))
        if spans:
            self._steps.append(("Slice", list(np.array(spans, dtype=np.int64).T), {}))
        self._steps += [("Gather", [places], {"axis": axis}) for axis, places in gathers]


_NAMES = {
    "Reshape": ("shape",),
    "Transpose": (),
    "Slice": ("starts", "ends", "axes", "steps"),
    "Gather": ("places",),
    "Pad": ("pads", "constant"),
}
"""What the constants of the nodes are called."""


def _order(flat: Array, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The permutation of axes that puts the values into this order."""
    numbered = np.arange(math.prod(shape)).reshape(shape)
    orders: Iterable[tuple[int, ...]] = permutations(range(len(shape))) if flat.size == numbered.size else ()
    return next((order for order in orders if np.array_equal(numbered.transpose(order).ravel(), flat)), None)


def _along_axes(places: Array, shape: tuple[int, ...]) -> list[Array] | None:
    """The places taken along each axis, where every axis has its own; None where axes are mixed."""
    coordinates = np.unravel_index(places, shape)
    fixed = [bool((c == c.flat[0]).all()) for c in coordinates]
    lengths = [n for n in places.shape if n > 1]
    if len(lengths) != fixed.count(False):
        return None
    rest = iter(lengths)
    kept = [1 if is_fixed else next(rest) for is_fixed in fixed]
    chosen = []
    for axis, coordinate in enumerate(coordinates):
        at_first = tuple(slice(None) if n == axis else 0 for n in range(len(kept)))
        chosen.append(coordinate.reshape(kept)[at_first].ravel())
    product = np.ravel_multi_index(np.ix_(*chosen), shape)
    return chosen if np.array_equal(product.ravel(), places.ravel()) else None
