"""Cast between float32 and float64."""

from __future__ import annotations

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsAlias
from sparse_qonnx.standard._base import StandardOp


class Cast(StandardOp):
    """A change of floating-point type; `passes.assign_float_types` inserts it only where no bit is lost."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        return NodeProof((node.grids[0],))

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsAlias:
        return HlsAlias()
