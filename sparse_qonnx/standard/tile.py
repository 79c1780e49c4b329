"""Tile."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import Array, NodeContext
from sparse_qonnx.standard._moves import Move


class Tile(Move):
    """The whole tensor several times along each axis."""

    @classmethod
    def moved(cls, node: NodeContext, values: Array, fill: int) -> tuple[Array, ...] | None:
        repeats = node.constants[1]
        return None if repeats is None or repeats[0] != 1 else (np.tile(values, repeats),)
