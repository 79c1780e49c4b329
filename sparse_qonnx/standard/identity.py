"""Identity."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import NodeProto

from sparse_qonnx.grid import Array, NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsAlias
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._moves import unchanged


class Identity(StandardOp):
    """The value itself."""

    is_identity = True
    operands = (Operand.FACTOR,)

    @classmethod
    def passed_on(cls, node: NodeProto, constants: Mapping[str, Array]) -> dict[str, int]:
        return unchanged(node)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        return NodeProof((grid,), 0 if grid is None else grid.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsAlias:
        return HlsAlias()
