"""Div by a constant: where a carried division is made, or a power of two moves the binary point."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from sparse_qonnx.grid import Array, Grid, NodeContext, NodeProof, bits_of
from sparse_qonnx.hlscall import HlsAlias, HlsCall
from sparse_qonnx.scaling import Operand, SumWriter, odd_part
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._elementwise import as_sample, elementwise_call


class Div(StandardOp):
    """x / d for a constant d: exact for powers of two, else the value of numerators, correctly rounded."""

    operands = (Operand.FACTOR, Operand.VALUE)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid, divisor = node.grids[0], _divisor(node)
        if grid is None:
            return NodeProof((None,))
        if divisor is not None:
            rounded = grid.rounded or grid.divisor != 1
            quotient = Grid(grid.lo, grid.hi, grid.frac, grid.divisor * divisor, rounded, grid.occupancy)
            return NodeProof((quotient,), max(grid.bits, odd_part(divisor).bit_length()))
        factors = _reciprocals(node)
        if factors is None:
            return NodeProof((None,))
        corners = [a * factors.lo for a in (grid.lo, grid.hi)]
        lo, hi = (np.array(f(*np.broadcast_arrays(*corners))) for f in (np.minimum, np.maximum))
        out = Grid(lo, hi, grid.frac + factors.frac, grid.divisor, grid.rounded)
        return NodeProof((out,), max(grid.bits, bits_of(lo, hi)))

    @classmethod
    def as_sum(cls, node: NodeContext, write: SumWriter) -> int | None:
        divisor = _divisor(node)
        if divisor is not None:
            write.same(write.inputs[0])
        return divisor

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall | HlsAlias:
        """Nothing where the numerators stay; who needs the value divides exactly."""
        divisor, factors = _divisor(node), _reciprocals(node)
        if divisor is not None:
            return HlsAlias(divisor=divisor)
        assert factors is not None
        values = np.ldexp(factors.lo.astype(np.float64), -factors.frac)
        product = NodeContext(
            node.name,
            node.op_type,
            {},
            node.shapes,
            (node.grids[0], factors),
            (None, values),
            node.output_shapes,
        )
        return elementwise_call(product, proof, "MULTIPLY")


def _constant(node: NodeContext) -> Array | None:
    return node.constants[1] if node.constants[0] is None and len(node.constants) == 2 else None


def _divisor(node: NodeContext) -> int | None:
    """The whole number, no power of two, that everything is divided by; None for all else."""
    values = _constant(node)
    if values is None or values.size == 0 or values.dtype.kind != "f" or (values != values.flat[0]).any():
        return None
    value = float(values.flat[0])
    broadens = values.ndim > len(node.shapes[0])
    if broadens or not np.isfinite(value) or value <= 0 or value != int(value) or odd_part(int(value)) == 1:
        return None
    return int(value)


def _reciprocals(node: NodeContext) -> Grid | None:
    """1 / d, where every divisor is a power of two, at the rank of one sample."""
    values = _constant(node)
    if values is None or values.dtype.kind != "f" or not np.isfinite(values).all():
        return None
    if (np.abs(np.frexp(values.astype(np.float64))[0]) != 0.5).any():
        return None
    inverse = np.array([float(1 / Fraction(float(v))) for v in values.flat]).reshape(values.shape)
    return as_sample(node, 1, Grid.of_constant(inverse, where=node.where))
