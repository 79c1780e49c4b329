"""Base of the rules for operators that are not ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from onnx import FunctionProto, NodeProto

from sparse_qonnx.fixed import QuantizerFormat
from sparse_qonnx.grid import Array, NodeContext, NodeProof
from sparse_qonnx.scaling import Carrying


class StandardOp(Carrying):
    """How one foreign operator treats grids."""

    domain: ClassVar[str] = ""
    moves: ClassVar[bool] = False
    """Whether its results hold values of its inputs, and nothing is computed with them."""
    is_identity: ClassVar[bool] = False
    """Whether the first output is the first input, whatever that is."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        """Exact grids of the outputs, and the bits the arithmetic needs on the way."""
        raise NotImplementedError

    @classmethod
    def quantizer_format(cls, node: NodeContext) -> QuantizerFormat | None:
        """What a quantizer does; None for every other operator, and for quantizers of no fixed-point format."""
        return None

    @classmethod
    def passed_on(cls, node: NodeProto, constants: Mapping[str, Array]) -> dict[str, int]:
        """Results that hold values of its inputs, moved and multiplied by 2**n and nothing else: n by their names."""
        return {}

    @classmethod
    def function(cls, nodes: Sequence[NodeProto] = ()) -> FunctionProto | None:
        """A function body to attach, for operators that stock onnxruntime does not have."""
        return None
