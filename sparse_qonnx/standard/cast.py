"""Cast between float32, float64, and integers that are such."""

from __future__ import annotations

from onnx import TensorProto

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsAlias
from sparse_qonnx.standard._base import StandardOp

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)
INTEGERS = {TensorProto.INT32: 31, TensorProto.INT64: 63}
"""Bits of the magnitude."""


class Cast(StandardOp):
    """A change of type without a change of value.

    Between floating-point types `passes.assign_float_types` inserts it only where no bit is lost; a cast to integers
    of what are none, or does not fit, lies on no known grid.
    """

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid, target = node.grids[0], node.attributes.get("to", TensorProto.FLOAT)
        if grid is None or target in FLOATS:
            return NodeProof((grid,))
        is_whole = grid.frac <= 0 and grid.divisor == 1 and grid.bits - grid.frac <= INTEGERS.get(target, 0)
        return NodeProof((grid if is_whole else None,))

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsAlias:
        return HlsAlias()
