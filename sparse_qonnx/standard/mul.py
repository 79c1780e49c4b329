"""Mul by a constant, or of two tensors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np
from onnx import NodeProto

from sparse_qonnx.grid import Array, Grid, NodeContext, NodeProof, bits_of
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._elementwise import as_sample, elementwise_call


class Mul(StandardOp):
    """Elementwise product; fractional bits and divisors add up."""

    operands = (Operand.FACTOR,)

    @classmethod
    def passed_on(cls, node: NodeProto, constants: Mapping[str, Array]) -> dict[str, int]:
        given = [np.ravel(constants[name]) for name in node.input if name in constants]
        mantissa, exponent = np.frexp(np.unique(np.concatenate([np.zeros(0), *given])))
        return {node.output[0]: int(exponent[0]) - 1} if np.array_equal(mantissa, [0.5]) else {}

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        a, b = node.grids
        if a is None or b is None:
            return NodeProof((None,))
        a, b = (as_sample(node, n, g) for n, g in enumerate((a, b)))
        corners = [x * y for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
        lo, hi = reduce(np.minimum, corners), reduce(np.maximum, corners)
        exact_factor = all(g.divisor == 1 for g in (a, b))
        rounded = a.rounded or b.rounded or not exact_factor
        out = Grid(lo, hi, a.frac + b.frac, a.divisor * b.divisor, rounded)
        return NodeProof((out,), max(a.bits, b.bits, bits_of(lo, hi)))

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return elementwise_call(node, proof, "MULTIPLY")
