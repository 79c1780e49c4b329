"""Identity."""

from __future__ import annotations

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsAlias
from sparse_qonnx.standard._base import StandardOp


class Identity(StandardOp):
    """The value itself."""

    is_identity = True

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        return NodeProof((grid,), 0 if grid is None else grid.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsAlias:
        return HlsAlias()
