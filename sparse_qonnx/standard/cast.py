"""Cast between float32, float64, and integers that are such."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import Array, Grid, NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsAlias
from sparse_qonnx.integers import integers
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._truth import refuse_firmware

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)
INTEGERS = {TensorProto.INT32: 31, TensorProto.INT64: 63}
"""Bits of the magnitude."""


class Cast(StandardOp):
    """A change of type without a change of value.

    Between floating-point types `passes.assign_float_types` inserts it only where no bit is lost; a cast to integers
    drops what lies behind the point. What does not fit lies on no known grid.
    """

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid, target = node.grids[0], node.attributes.get("to", TensorProto.FLOAT)
        if grid is None or target in FLOATS:
            return NodeProof((grid,))
        if target == TensorProto.BOOL:
            shape = (1,) * grid.lo.ndim
            return NodeProof((Grid(integers(0).reshape(shape), integers(1).reshape(shape), 0),), grid.bits)
        if grid.divisor != 1:
            return NodeProof((None,))
        whole = grid if grid.frac <= 0 else Grid(_truncated(grid.lo, grid.frac), _truncated(grid.hi, grid.frac), 0)
        return NodeProof((whole if whole.bits - whole.frac <= INTEGERS.get(target, 0) else None,), grid.bits)

    @classmethod
    def scaling(cls, node: NodeContext) -> tuple[Operand, ...]:
        """float64 holds every numerator; float32 may hold the value only."""
        return (Operand.FACTOR,) if node.attributes.get("to") == TensorProto.DOUBLE else ()

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsAlias:
        grid = node.grids[0]
        target = node.attributes.get("to", TensorProto.FLOAT)
        if target == TensorProto.BOOL:
            refuse_firmware(node)
        if grid is not None and grid.frac > 0 and target not in FLOATS:
            problem = f"drops the {grid.frac} bits behind the point: it is not supported in firmware"
            raise UnsupportedNodeError(node.where, problem, allowed="integers", fix="use a quantizer of no such bits")
        return HlsAlias()


def _truncated(m: Array, frac: int) -> Array:
    """m * 2**-frac without what lies behind the point."""
    step = 1 << frac
    return np.where(m < 0, -(-m // step), m // step)
