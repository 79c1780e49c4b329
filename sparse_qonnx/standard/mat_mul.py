"""MatMul of data with constant weights."""

from __future__ import annotations

import math

import numpy as np

from sparse_qonnx.grid import Grid, NodeContext, NodeProof, dot, products
from sparse_qonnx.hlscall import HlsCall, HlsTable, numerators, sample_shape
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp


class MatMul(StandardOp):
    """`x [..., K] @ W [K, F]`, the linear part of a dense layer."""

    operands = (Operand.FACTOR,)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        x, weights = node.grids
        if x is None or weights is None or weights.lo is not weights.hi or weights.lo.ndim != 2:
            return NodeProof((None,))
        sample = tuple(int(d) for d in node.shapes[0][1:] if isinstance(d, int))
        shape = (*x.lo.shape[:-1], sample[-1])
        sums = dot(
            x.with_limits(np.broadcast_to(x.lo, shape), np.broadcast_to(x.hi, shape)).occupied(x.occupancy), weights.lo
        )
        out = Grid(sums.lo, sums.hi, x.frac + weights.frac, x.divisor, x.rounded_in_sums)
        return NodeProof((out,), max(sums.partial.bit_length(), x.bits, weights.bits))

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        x, weights, out = node.grids[0], node.grids[1], proof.outputs[0]
        assert x is not None and weights is not None and out is not None
        *rows, inputs = sample_shape(node.shapes[0])
        outputs = weights.lo.shape[1]
        lo, hi = (np.broadcast_to(a, (*a.shape[:-1], inputs))[..., None] for a in (x.lo, x.hi))
        low, high = products(lo, hi, weights.lo)
        # Partial sums, in any order: every product may still be missing.
        accum = Grid(np.minimum(low, 0).sum(axis=-2), np.maximum(high, 0).sum(axis=-2), out.frac)
        return HlsCall(
            "dense",
            (0,),
            {"n_rows": math.prod(rows), "n_inputs": inputs, "n_outputs": outputs, "accum_t": accum},
            (
                HlsTable("weights", numerators(weights), weights.frac),
                HlsTable("biases", np.zeros(outputs, dtype=object), min(out.frac, 0)),
            ),
        )
