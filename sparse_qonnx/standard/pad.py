"""Pad."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import Array, Grid, NodeContext
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._moves import Move

MODES = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
"""NumPy's names for the modes that repeat values."""


class Pad(Move):
    """A constant, or values once more, around each axis of a sample."""

    operands = (Operand.FACTOR, Operand.VALUE, Operand.ADDEND, Operand.VALUE)

    @classmethod
    def fill(cls, node: NodeContext) -> Grid | None:
        if node.attributes.get("mode", "constant") != "constant":
            return None
        given = node.constants[2] if len(node.constants) > 2 else None
        return Grid.of_constant(np.zeros(1) if given is None else np.ravel(given), where=node.where)

    @classmethod
    def moved(cls, node: NodeContext, values: Array, fill: int) -> tuple[Array, ...] | None:
        pads, mode = node.constants[1], node.attributes.get("mode", "constant")
        if pads is None or (mode == "constant" and len(node.constants) > 2 and node.constants[2] is None):
            return None  # a value that is data
        axes = node.constants[3] if len(node.constants) > 3 else None
        around = [(0, 0)] * values.ndim
        places = range(values.ndim) if axes is None else [int(a) % values.ndim for a in np.ravel(axes)]
        for axis, before, after in zip(places, *np.reshape(pads, (2, -1)), strict=True):
            around[axis] = (int(before), int(after))
        if around[0] != (0, 0) or min(map(min, around)) < 0:
            return None
        if mode == "constant":
            return (np.pad(values, around, constant_values=fill),)
        return (np.pad(values, around, mode=MODES[mode]),)  # type: ignore[call-overload]
