"""Unsqueeze."""

from __future__ import annotations

from sparse_qonnx.grid import Array, NodeContext
from sparse_qonnx.standard._moves import Move
from sparse_qonnx.standard.squeeze import same_order


class Unsqueeze(Move):
    """With more axes of length 1."""

    @classmethod
    def moved(cls, node: NodeContext, values: Array, fill: int) -> tuple[Array, ...] | None:
        return same_order(node, values)
