"""Expand."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import Array, NodeContext
from sparse_qonnx.standard._moves import Move


class Expand(Move):
    """Axes of length 1 repeated."""

    @classmethod
    def moved(cls, node: NodeContext, values: Array, fill: int) -> tuple[Array, ...] | None:
        shape = [d for d in node.output_shapes[0][1:] if isinstance(d, int)]
        if len(node.output_shapes[0]) != values.ndim or len(shape) != values.ndim - 1:
            return None
        return (np.broadcast_to(values, (1, *shape)),)
