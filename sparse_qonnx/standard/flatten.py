"""Flatten."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import NodeProto

from sparse_qonnx.grid import Array, NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsAlias
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._moves import unchanged


class Flatten(StandardOp):
    """`[B, ...]` to `[B, K]` in row-major order."""

    operands = (Operand.FACTOR,)

    @classmethod
    def passed_on(cls, node: NodeProto, constants: Mapping[str, Array]) -> dict[str, int]:
        return unchanged(node)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        return reshaped(node)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsAlias:
        return HlsAlias()


def reshaped(node: NodeContext) -> NodeProof:
    """Limits follow the elements; anything that moves the batch dimension loses them."""
    grid = node.grids[0]
    source, target = node.shapes[0][1:], node.output_shapes[0][1:]
    known = [d for d in (*source, *target) if isinstance(d, int)]
    if grid is None or len(known) != len(source) + len(target):
        return NodeProof((None,))
    return NodeProof(
        (grid.reshape([d for d in target if isinstance(d, int)], [d for d in source if isinstance(d, int)]),), grid.bits
    )
