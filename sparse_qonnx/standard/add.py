"""Add."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import Grid, NodeContext, NodeProof, add, common_grid
from sparse_qonnx.hlscall import HlsCall, HlsTable, factor, numerators, sample_shape
from sparse_qonnx.standard._base import StandardOp


class Add(StandardOp):
    """Sum of two tensors, or of a tensor and a constant bias."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        a, b = node.grids
        if a is None or b is None:
            return NodeProof((None,))
        out = add(*(as_sample(node, n, g) for n, g in enumerate((a, b))))
        return NodeProof((out,), max(*(g.bits for g in common_grid(a, b)), out.bits))

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        out = proof.outputs[0]
        assert out is not None
        shape = sample_shape(node.output_shapes[0])
        data = [n for n, constant in enumerate(node.constants) if constant is None]
        grids = [as_sample(node, n, g) for n, g in enumerate(node.grids) if g is not None]
        if any(sample_shape(node.shapes[n]) != shape for n in data):
            raise UnsupportedNodeError(
                node.where,
                "broadcasts one data tensor over another",
                allowed="equal shapes, or a constant",
                fix="expand it",
            )
        if len(data) == 2:
            factors = factor("a", out.divisor // grids[0].divisor) | factor("b", out.divisor // grids[1].divisor)
            return HlsCall("add", (0, 1), {"n_rows": 1, "n_columns": math.prod(shape), **factors})
        addend = grids[1 - data[0]]
        by_channel = addend.lo.size == addend.lo.shape[-1]
        columns = shape[-1] if by_channel else math.prod(shape)
        values = numerators(addend, out.divisor)
        row = (
            np.broadcast_to(values.reshape(-1), (columns,))
            if by_channel
            else np.broadcast_to(values, shape).reshape(-1)
        )
        config = {"n_rows": math.prod(shape) // columns, "n_columns": columns}
        scale = factor("a", out.divisor // grids[data[0]].divisor)
        return HlsCall("add", (data[0],), {**config, **scale}, (HlsTable("addends", row, addend.frac),), "add_row")


def as_sample(node: NodeContext, position: int, grid: Grid) -> Grid:
    """Limits of a constant operand at the rank of one sample."""
    if node.constants[position] is None:
        return grid
    rank = len(node.output_shapes[0]) - 1
    shape = grid.lo.shape[-rank:] if rank else ()
    shape = (1,) * (rank - len(shape)) + shape
    return grid.with_limits(grid.lo.reshape(shape), grid.hi.reshape(shape))


def extremum(node: NodeContext, pick: Callable[[Any, Any], Any]) -> NodeProof:
    """Grid of the elementwise maximum or minimum of all inputs; exact with divisors pending, as it only selects."""
    grids = [as_sample(node, n, g) for n, g in enumerate(node.grids) if g is not None]
    if not grids or len(grids) != len(node.grids):
        return NodeProof((None,))
    out = grids[0]
    bits = out.bits
    for grid in grids[1:]:
        a, b = common_grid(out, grid)
        out = Grid(pick(a.lo, b.lo), pick(a.hi, b.hi), a.frac, a.divisor, a.rounded or b.rounded)
        bits = max(bits, a.bits, b.bits)
    return NodeProof((out,), bits)
