"""ReduceMin."""

from __future__ import annotations

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard.reduce_max import reduction_call, sample_axes


class ReduceMin(StandardOp):
    """Minimum over sample axes."""

    operands = (Operand.FACTOR, Operand.VALUE)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid, axes = node.grids[0], sample_axes(node)
        if grid is None or axes is None:
            return NodeProof((None,))
        keep = bool(node.attributes.get("keepdims", 1))
        lo, hi = (a.min(axis=axes, keepdims=keep) for a in (grid.lo, grid.hi))
        return NodeProof((grid.with_limits(lo, hi),), grid.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return reduction_call(node, proof, "MIN")
