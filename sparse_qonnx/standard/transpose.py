"""Transpose that keeps the batch first."""

from __future__ import annotations

from sparse_qonnx.grid import Array, NodeContext
from sparse_qonnx.standard._moves import Move


class Transpose(Move):
    """Permuted axes; the limits follow."""

    @classmethod
    def moved(cls, node: NodeContext, values: Array, fill: int) -> tuple[Array, ...] | None:
        order = node.attributes.get("perm", range(values.ndim)[::-1])
        return (values.transpose(order),) if order[0] == 0 else None
