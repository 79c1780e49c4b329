"""Reshape that keeps the batch dimension."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import NodeProto

from sparse_qonnx.grid import Array, NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsAlias
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._moves import unchanged
from sparse_qonnx.standard.flatten import reshaped


class Reshape(StandardOp):
    """`[B, ...]` to `[B, ...]` in row-major order."""

    operands = (Operand.FACTOR, Operand.VALUE)

    @classmethod
    def passed_on(cls, node: NodeProto, constants: Mapping[str, Array]) -> dict[str, int]:
        return unchanged(node)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        return reshaped(node)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsAlias:
        return HlsAlias()
