"""Gather: a constant table looked up, or values picked along a sample axis."""

from __future__ import annotations

import math

import numpy as np

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import Array, Grid, NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsAlias, HlsCall, HlsTable, numerators, sample_shape
from sparse_qonnx.integers import integers
from sparse_qonnx.standard._moves import Move


class Gather(Move):
    """`table[index]`: any entry of a constant table may come out; or constant places along an axis of the data."""

    @classmethod
    def moved(cls, node: NodeContext, values: Array, fill: int) -> tuple[Array, ...] | None:
        axis, index = int(node.attributes.get("axis", 0)) % values.ndim, node.constants[1]
        return None if axis == 0 or index is None else (np.take(values, index, axis=axis),)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        table = node.grids[0]
        if node.constants[1] is not None:
            return super().prove(node)
        # Tables are initializers, or come out of a Quant, whose result is as constant: one value an element.
        if table is None or table.lo is not table.hi:
            return NodeProof((None,))
        shape = (1,) * (len(node.output_shapes[0]) - 1)
        lo, hi = (integers(v).reshape(shape) for v in (table.lowest, table.highest))
        return NodeProof((Grid(lo, hi, table.frac),), table.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> tuple[HlsCall | HlsAlias, ...]:
        if node.constants[1] is not None:
            return super().hls(node, proof)
        table, index = node.grids
        if index is None or node.constants[0] is None or table is None or table.lo.ndim != 1:
            allowed = "a constant table of one dimension, or constant places"
            raise UnsupportedNodeError(node.where, "is no lookup", allowed=allowed, fix="use Reshape, or a table")
        last = int(index.highest * 2.0**-index.frac)
        if index.lowest < 0 or index.frac > 0 or index.divisor != 1 or last >= table.lo.size:
            allowed = f"integers from 0 to {table.lo.size - 1}"
            raise UnsupportedNodeError(node.where, f"reads entries of {index.describe()}", allowed=allowed)
        *rows, columns = sample_shape(node.shapes[1]) or (1,)
        pixels, channels = (math.prod(rows), columns) if rows else (columns, 1)
        config = {"n_pixels": pixels, "n_channels": channels, "table_size": last + 1, "pixels_per_cycle": 1}
        values = HlsTable("values", numerators(table)[: last + 1], table.frac)
        return (HlsCall("gather", (1,), config, (values,)),)
