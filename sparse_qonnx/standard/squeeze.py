"""Squeeze."""

from __future__ import annotations

from sparse_qonnx.grid import Array, NodeContext
from sparse_qonnx.standard._moves import Move


class Squeeze(Move):
    """Without axes of length 1."""

    @classmethod
    def moved(cls, node: NodeContext, values: Array, fill: int) -> tuple[Array, ...] | None:
        return same_order(node, values)


def same_order(node: NodeContext, values: Array) -> tuple[Array, ...] | None:
    """The values in the order they have, in the shape of the result."""
    shape = [d for d in node.output_shapes[0][1:] if isinstance(d, int)]
    known = len(shape) == len(node.output_shapes[0]) - 1
    return (values.reshape(1, *shape),) if known else None
