"""Gather: a constant table looked up, or elements picked along a sample axis."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import Grid, NodeContext, NodeProof
from sparse_qonnx.standard._base import StandardOp


class Gather(StandardOp):
    """`table[index]`: any entry of a constant table may come out."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        table = node.grids[0]
        # Tables are initializers, or come out of a Quant, whose result is as constant: one value an element.
        if table is None or table.lo is not table.hi:
            return NodeProof((None,))
        shape = (1,) * (len(node.output_shapes[0]) - 1)
        lo, hi = (np.array(v, dtype=object).reshape(shape) for v in (table.lowest, table.highest))
        return NodeProof((Grid(lo, hi, table.frac),), table.bits)
