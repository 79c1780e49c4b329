"""Reshape that keeps the batch dimension."""

from __future__ import annotations

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsAlias
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard.flatten import reshaped


class Reshape(StandardOp):
    """`[B, ...]` to `[B, ...]` in row-major order."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        return reshaped(node)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsAlias:
        return HlsAlias()
