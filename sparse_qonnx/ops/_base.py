"""What every operator of the domain `sparse_qonnx.ops` says about itself.

An operator is one class in one file of this folder. It states its schema once, as data; the qonnx hooks (shape
inference, datatypes, execution, verification) and the ONNX schema are derived from it here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import onnx
import onnx.shape_inference
from numpy.typing import NDArray
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper
from qonnx.core.datatype import BaseDataType, DataType
from qonnx.custom_op.base import CustomOp

from sparse_qonnx.errors import InputDataError, UnsupportedNodeError
from sparse_qonnx.fixed import QuantizerFormat
from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.scaling import Carrying

DOMAIN = "sparse_qonnx.ops"
VERSION = 1

Array = NDArray[Any]
Shape = tuple[int | str | None, ...]


_KINDS = {
    "i": (AttributeProto.INT, "an integer"),
    "f": (AttributeProto.FLOAT, "a number"),
    "s": (AttributeProto.STRING, "a text"),
    "ints": (AttributeProto.INTS, "two integers"),
}
"""ONNX's type of each kind of attribute, and its name for people."""


@dataclass(frozen=True)
class Attribute:
    """One attribute: name, ONNX kind (`i`, `f`, `s`, `ints`), meaning, default (None = required), allowed values.

    Integers are sizes and counts: at least `least`, at most `most`. `ints` are rows and columns, always two.
    """

    name: str
    kind: str
    doc: str
    default: int | float | str | tuple[int, ...] | None = None
    allowed: frozenset[str] | None = None
    least: int = 1
    most: int = 2**31 - 1

    def read(self, attribute: AttributeProto | None, where: str) -> Any:
        """The value in a node; the default where it is not there.

        Raises:
            UnsupportedNodeError: missing, of another type, or a value that is not allowed.
        """
        if attribute is None:
            if self.default is None:
                raise UnsupportedNodeError(where, f"attribute {self.name!r} is missing", allowed=self.doc)
            return self.default
        kind, wanted = _KINDS[self.kind]
        if attribute.type != kind or attribute.ref_attr_name:
            raise UnsupportedNodeError(where, f"attribute {self.name!r} has another type", allowed=wanted)
        value = helper.get_attribute_value(attribute)
        if self.kind == "s":
            value = value.decode("utf-8", errors="replace")
            if self.allowed is not None and value not in self.allowed:
                allowed = ", ".join(sorted(self.allowed))
                raise UnsupportedNodeError(where, f"attribute {self.name!r} is {value!r}", allowed=allowed)
        if self.kind == "i" and not self.least <= value <= self.most:
            allowed = f"{self.least} to {self.most}"
            raise UnsupportedNodeError(where, f"attribute {self.name!r} is {value}", allowed=allowed)
        if self.kind == "ints":
            value = tuple(value)
            if len(value) != 2 or not all(self.least <= v <= self.most for v in value):
                allowed = f"two integers from {self.least} to {self.most}"
                raise UnsupportedNodeError(where, f"attribute {self.name!r} is {list(value[:8])}", allowed=allowed)
        return value


def read_attributes(table: Sequence[Attribute], node: NodeProto) -> dict[str, Any]:
    """Attribute values of a node, defaults filled in.

    Raises:
        UnsupportedNodeError: for an unknown or missing attribute, or a value that is not allowed.
    """
    where = f"node {node.name or ''.join(node.output[:1])!r} ({node.op_type})"
    given = {attribute.name: attribute for attribute in node.attribute}
    known = {attribute.name for attribute in table}
    for name in given:
        if name not in known:
            raise UnsupportedNodeError(where, f"unknown attribute {name!r}", allowed=", ".join(sorted(known)))
    return {attribute.name: attribute.read(given.get(attribute.name), where) for attribute in table}


@dataclass(frozen=True)
class Port:
    """One input or output: name, shape as the reader writes it, meaning; whether it is coordinates, which are int64."""

    name: str
    shape: str
    doc: str
    optional: bool = False
    is_coordinates: bool = False

    @property
    def rank(self) -> int | None:
        """Number of dimensions; None where any will do."""
        return self.shape.count(",") + 1 if self.shape.startswith("[") else None


_EMPTY: dict[str, Any] = {"i": 0, "f": 0.0, "s": "", "ints": []}


class SparseOp(Carrying, CustomOp):  # type: ignore[misc]  # qonnx ships no types
    """Base of the operators; a subclass fills the tables and the class methods below."""

    doc: ClassVar[str] = ""
    attributes: ClassVar[tuple[Attribute, ...]] = ()
    inputs: ClassVar[tuple[Port, ...]] = ()
    outputs: ClassVar[tuple[Port, ...]] = ()
    earlier_bodies: ClassVar[frozenset[str]] = frozenset()
    """Fingerprints of the function bodies that earlier versions wrote; files that have them stay valid."""

    # ---- what an operator defines -------------------------------------------------------------------------------

    @classmethod
    def compute(cls, *inputs: Array | None, **attributes: Any) -> tuple[Array, ...]:
        """NumPy reference: the definition of the operator."""
        raise NotImplementedError

    @classmethod
    def output_shapes(cls, shapes: Sequence[Shape], attributes: dict[str, Any]) -> tuple[Shape, ...]:
        """Shapes of the outputs from those of the inputs; a symbolic dimension is a string."""
        raise NotImplementedError

    @classmethod
    def held_values(cls, shapes: Sequence[Shape], attributes: dict[str, Any]) -> int:
        """Values of the largest array that any implementation makes of one event on the way to the outputs."""
        return 0

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        """Exact grids of the outputs, and the bits the arithmetic needs on the way."""
        raise NotImplementedError

    @classmethod
    def quantizer_format(cls, node: NodeContext) -> QuantizerFormat | None:
        """What a quantizer does; None for every other operator, and for quantizers of no fixed-point format."""
        return None

    @classmethod
    def function(cls, nodes: Sequence[NodeProto] = ()) -> FunctionProto:
        """The operator as a model-local function of standard ONNX operators, one that serves the given nodes."""
        raise NotImplementedError

    @classmethod
    def passed_on(cls, node: NodeProto, constants: Mapping[str, Array]) -> dict[str, int]:
        """Results that hold values of its inputs, moved and multiplied by 2**n and nothing else: n by their names."""
        return {}

    @classmethod
    def output_datatypes(cls, datatypes: Sequence[BaseDataType], node: NodeProto, model: Any) -> list[BaseDataType]:
        """qonnx datatypes of the outputs; by default the features keep theirs."""
        return [datatypes[0]]

    # ---- what follows from it -----------------------------------------------------------------------------------

    @classmethod
    def read_attributes(cls, node: NodeProto) -> dict[str, Any]:
        """Attribute values of a node, defaults filled in.

        Raises:
            UnsupportedNodeError: for an unknown or missing attribute, or a value that is not allowed.
        """
        return read_attributes(cls.attributes, node)

    @classmethod
    def held_by(cls, node: NodeProto, values: Mapping[str, ValueInfoProto]) -> int:
        """`held_values` of a node, given the types of what it reads; what is not known of them counts as 1."""
        shapes = [tensor_shape(values[name]) if name in values else () for name in node.input]
        return cls.held_values(shapes, cls.read_attributes(node))

    def get_nodeattr_types(self) -> dict[str, tuple[Any, ...]]:
        """The attribute table in the form qonnx reads."""
        table: dict[str, tuple[Any, ...]] = {}
        for a in self.attributes:
            default = _EMPTY[a.kind] if a.default is None else a.default
            entry = (a.kind, a.default is None, list(default) if isinstance(default, tuple) else default)
            table[a.name] = (*entry, set(a.allowed)) if a.allowed else entry
        return table

    def make_shape_compatible_op(self, model: Any) -> NodeProto:
        """A stand-in for qonnx's shape inference, which writes it in place of the node and back again.

        No plain operator has several outputs of unrelated shape and type, and one with a subgraph would not be found
        again, as inference fills the subgraph in. So the shapes are stated here, symbolic dimensions included, and
        onnx passes over the stand-in, an operator that it does not know (of its own domain, as a model that is being
        put together may not import ours yet).
        """
        node: NodeProto = self.onnx_node
        values = _stated(model.model)
        if any(name and name not in values for name in node.input):
            # as the nodes before this one are stand-ins already, onnx knows what they lead to
            values = _stated(onnx.shape_inference.infer_shapes(model.model))
        if not any(name and name not in values for name in node.input):
            known = [values[name] if name else None for name in node.input]
            for value in self.output_values(node, known):
                _state(model.model.graph, value)
        return helper.make_node(f"{node.op_type}Stated", list(node.input), list(node.output))

    @classmethod
    def output_values(cls, node: NodeProto, inputs: Sequence[ValueInfoProto | None]) -> list[ValueInfoProto]:
        """Name, element type and shape of a node's outputs from those of its inputs (None: not given)."""
        shapes = [() if value is None else tensor_shape(value) for value in inputs]
        element = inputs[0].type.tensor_type.elem_type if inputs[0] is not None else TensorProto.FLOAT
        kinds = [TensorProto.INT64 if port.is_coordinates else element for port in cls.outputs]
        return [
            helper.make_tensor_value_info(name, kind, list(shape))
            for name, kind, shape in zip(
                node.output, kinds, cls.output_shapes(shapes, cls.read_attributes(node)), strict=True
            )
        ]

    def infer_node_datatype(self, model: Any) -> None:
        """Set the qonnx datatype of every output."""
        node: NodeProto = self.onnx_node
        datatypes = [model.get_tensor_datatype(name) for name in node.input]
        for name, datatype in zip(node.output, self.output_datatypes(datatypes, node, model), strict=False):
            model.set_tensor_datatype(name, datatype)

    def execute_node(self, context: dict[str, Array], graph: GraphProto) -> None:
        """qonnx execution: the NumPy reference."""
        node: NodeProto = self.onnx_node
        inputs = [context[name] if name else None for name in node.input]
        results = self.compute(*inputs, **self.read_attributes(node))
        for name, value in zip(node.output, results, strict=True):
            context[name] = value

    def verify_node(self) -> list[str]:
        """qonnx verification: attributes and the number of inputs."""
        self.read_attributes(self.onnx_node)
        required = sum(not port.optional for port in self.inputs)
        if not required <= len(self.onnx_node.input) <= len(self.inputs):
            where = f"node {self.onnx_node.name!r} ({type(self).__name__})"
            raise UnsupportedNodeError(where, f"{len(self.onnx_node.input)} inputs", allowed=f"{required} or more")
        return ["All attributes and inputs are as the schema asks"]


def tensor_shape(value: ValueInfoProto) -> Shape:
    """Shape of a value: numbers, names of symbolic dimensions, None where nothing is said."""
    dims = value.type.tensor_type.shape.dim
    return tuple(d.dim_value if d.HasField("dim_value") else (d.dim_param or None) for d in dims)


def _stated(model: ModelProto) -> dict[str, ValueInfoProto]:
    """Values of the main graph that have a shape."""
    graph = model.graph
    values = {v.name: v for v in (*graph.value_info, *graph.input, *graph.output)}
    values = {name: v for name, v in values.items() if v.type.tensor_type.HasField("shape")}
    for tensor in graph.initializer:
        values[tensor.name] = helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
    return values


def _state(graph: GraphProto, value: ValueInfoProto) -> None:
    """Write a value's type into the graph, in place of what was said of it."""
    for known in (*graph.value_info, *graph.output):
        if known.name == value.name:
            known.CopyFrom(value)
            return
    graph.value_info.append(value)


def scalar_datatype(signed: bool, width: int, integer: int) -> BaseDataType:
    """The qonnx datatype that holds `ap_[u]fixed<width, integer>`; qonnx knows no unsigned fixed point."""
    if integer >= width:
        return DataType["FLOAT32"]
    return DataType[f"FIXED<{width if signed else width + 1},{integer if signed else integer + 1}>"]


def stated_datatype(name: str, model: Any) -> BaseDataType:
    """The qonnx datatype that the file states for a tensor, FLOAT32 where it states none."""
    return model.get_tensor_datatype(name) or DataType["FLOAT32"]


def sample_values(shape: Shape) -> int:
    """Values of one event of a tensor; dimensions that are not known count as 1."""
    return math.prod(n for n in shape[1:] if isinstance(n, int))


def check_rank(op: str, name: str, value: Array, rank: int, shape: str) -> None:
    """Raise InputDataError unless `value` has `rank` dimensions."""
    if value.ndim != rank:
        raise InputDataError(f"{op} input {name!r}", f"has shape {list(value.shape)}", allowed=shape)


def parse_function(text: str, domain: str = DOMAIN) -> FunctionProto:
    """A FunctionProto from ONNX text.

    Types of subgraph outputs are dropped so that one body serves float32 and float64. Constants become tensors: other
    tools read the attribute `value_float` as float64.
    """
    function = onnx.parser.parse_function(f'<domain: "{domain}", opset_import: ["" : 19]>\n{text}')
    _drop_subgraph_types(function.node)
    _write_tensors(function.node)
    return function


_NUMBERS = {
    "value_float": ("f", TensorProto.FLOAT),
    "value_int": ("i", TensorProto.INT64),
    "value_floats": ("floats", TensorProto.FLOAT),
    "value_ints": ("ints", TensorProto.INT64),
}
"""Attributes of `Constant` that hold numbers, where each keeps its value, and the type of the tensor that it means."""


def _write_tensors(nodes: Sequence[NodeProto]) -> None:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _write_tensors(attribute.g.node)
            elif node.op_type == "Constant" and attribute.name in _NUMBERS and not attribute.ref_attr_name:
                field, kind = _NUMBERS[attribute.name]
                value = getattr(attribute, field)
                shape, numbers = ([], [value]) if field in ("f", "i") else ([len(value)], list(value))
                attribute.CopyFrom(helper.make_attribute("value", helper.make_tensor("", kind, shape, numbers)))


def _drop_subgraph_types(nodes: Sequence[NodeProto]) -> None:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                for value in attribute.g.output:
                    value.ClearField("type")
                _drop_subgraph_types(attribute.g.node)


def select(result: str, cases: Sequence[tuple[str, str]], default: str, tag: str = "") -> str:
    """ONNX text of nested Ifs: `result` is the expression of the first case whose condition (a name) is true.

    Args:
        result: name of the value to define.
        cases: (name of a boolean, statements that define `{out}`), tried in order.
        default: statements that define `{out}` where no case holds.
        tag: makes inner names unique where several selections share a body.
    """

    def branch(level: int, statements: str) -> str:
        out = f"{result}_{tag}{level}"
        return f"g_{out} () => (float[] {out}) {{ {statements.replace('{out}', out)} }}"

    inner = default
    for level, (condition, statements) in reversed(list(enumerate(cases))):
        then_branch = branch(2 * level, statements)
        else_branch = branch(2 * level + 1, inner)
        inner = f"{{out}} = If ({condition}) <then_branch = {then_branch}, else_branch = {else_branch}>"
    return inner.replace("{out}", result)
