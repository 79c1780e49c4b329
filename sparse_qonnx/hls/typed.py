"""The typed graph: every tensor with its exact `ap_fixed` type, every node as one kernel call."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.hlscall import HlsCall, HlsTable


@dataclass(frozen=True)
class Tensor:
    """An array of the firmware.

    Attributes:
        name: its name in the ONNX file.
        identifier: the C++ array.
        type_name: its typedef.
        shape: shape of one event, `(N, C)` for features.
        type: bits of the stored integers; `ap_uint` for coordinates (fraction 0).
        divisor: what the stored numerators still have to be divided by.
        is_coordinates: 1-based (row, column) pairs rather than data.
        is_integer: whether ONNX has it as integers: coordinates, places of maxima.
        tolerance: stated largest error; 0 for fixed-point tensors, which are exact.
        values_per_word: of the stream that it is, a port with one word a cycle; 0 for an array.
    """

    name: str
    identifier: str
    type_name: str
    shape: tuple[int, ...]
    type: FixedPointType
    divisor: int = 1
    is_coordinates: bool = False
    tolerance: float = 0.0
    values_per_word: int = 0
    is_integer: bool = False

    @property
    def size(self) -> int:
        """Values of one event."""
        return math.prod(self.shape)

    @property
    def cpp_type(self) -> str:
        """The type behind the typedef."""
        return f"ap_uint<{self.type.width}>" if self.is_coordinates else str(self.type)

    def stream_type(self, scope: str = "") -> str:
        """The C++ type of the stream; `scope` stands before the typedef of its values."""
        return f"hls::stream<sparse_qonnx::beat<{scope}{self.type_name}, {self.values_per_word}> >"

    @classmethod
    def coordinates(cls, name: str, identifier: str, type_name: str, shape: tuple[int, ...], limit: int) -> Tensor:
        """A coordinate tensor whose rows and columns reach `limit`."""
        width = max(limit.bit_length(), 1)
        return cls(
            name,
            identifier,
            type_name,
            shape,
            FixedPointType(False, width, width),
            is_coordinates=True,
            is_integer=True,
        )


@dataclass(frozen=True)
class Table:
    """A constant array with its names; `storage` is the directive that says where it is, where somebody said so."""

    identifier: str
    type_name: str
    content: HlsTable
    storage: str = ""

    @property
    def cpp_type(self) -> str:
        """The type behind the typedef."""
        kind = self.content.type
        return f"ap_{'' if kind.signed else 'u'}int<{kind.width}>" if self.content.is_integer else str(kind)


@dataclass(frozen=True)
class Layer:
    """One kernel call: the node it comes from, its names, its operands.

    A `trace_only` call is no hardware: in C-simulation it gives tensors that another layer took in.
    """

    node: str
    op_type: str
    config_name: str
    call: HlsCall
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    tables: tuple[Table, ...]
    trace_only: bool = False

    @property
    def is_node(self) -> bool:
        """Whether it comes from the model, and is not only there to connect others."""
        return self.call.kernel not in ("fork", "io_stream")


@dataclass
class TypedGraph:
    """The whole firmware, before it is text.

    Attributes:
        top: name of the top function.
        inputs, outputs: interface, in the order of the ONNX graph.
        layers: kernel calls in execution order.
        views: every tensor that can be asked for, by ONNX name; a reshaped view shares the array of its source.
        values: what arrays of numerators stand for, under the names of the values, which no tensor of the file has.
        fused: tensors of the file that no array holds any more, with the layer that took them in.
        notes: what the reader of the report should know.
        skipped: heads that the firmware leaves out.
        left_out: outputs of the file that end in such a head, by their place among the outputs.
        namespace: of types, constants and configurations; none where it is empty.
    """

    top: str
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    views: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Tensor] = field(default_factory=dict)
    fused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    left_out: dict[int, str] = field(default_factory=dict)
    namespace: str = ""

    @property
    def arrays(self) -> list[Tensor]:
        """Every array once: inputs, then the results of the layers."""
        return [*self.inputs, *(t for layer in self.layers for t in layer.outputs)]
