"""Writing and reading the graphs of this package: names, shapes, constants. Knows nothing of Keras or HLS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper, shape_inference

from sparse_qonnx.errors import ModelFileError, PrecisionError
from sparse_qonnx.grid import Grid
from sparse_qonnx.naming import Names
from sparse_qonnx.ops import DOMAIN, VERSION, operators
from sparse_qonnx.ops._base import Shape
from sparse_qonnx.ops._base import tensor_shape as tensor_shape
from sparse_qonnx.origin import assign

Array = NDArray[Any]

OPSET = 19
"""Oldest opset whose `Equal` compares strings, which the function bodies need."""
IR_VERSION = 9
QUANT_DOMAIN = "qonnx.custom_op.general"
BATCH = "batch"
"""Name of the symbolic first dimension of every input and output."""

OPSETS = (("", OPSET), (DOMAIN, VERSION), (QUANT_DOMAIN, 1))


def weight_quantizer(name: str, values: Array) -> tuple[dict[str, Array], dict[str, Any]]:
    """The QONNX `Quant` of weights that already lie on a grid.

    Scale and bit width are the narrowest that hold the values, so the `Quant` changes none of them.

    Returns:
        Its constant inputs after the weights, by name, and its attributes.

    Raises:
        PrecisionError: if the values need more than 24 bits, which float32 cannot hold, or are not finite.
    """
    grid = Grid.of_constant(values, where=f"weights {name!r}")
    kind = grid.type
    width = max(kind.width, 2) if kind.signed else kind.width  # qonnx reads signed 1-bit as bipolar
    if width > 24:
        raise PrecisionError(
            f"weights {name!r}",
            f"need {width} bits",
            allowed="at most 24 bits",
            fix="give the layer a quantizer, or put them on a grid: np.round(w * 2**f) / 2**f",
        )
    parts = {"scale": 2.0**-grid.frac, "zero_point": 0.0, "bits": float(width)}
    parameters = {part: np.array(value, dtype=np.float32) for part, value in parts.items()}
    return parameters, {"signed": int(kind.signed), "narrow": 0, "rounding_mode": "ROUND"}


class GraphBuilder:
    """Appends nodes in topological order and infers the type and shape of each result at once.

    Args:
        name: name of the graph.
        reserved: names that no value gets before `release`.
    """

    def __init__(self, name: str, reserved: Iterable[str] = ()) -> None:
        self.name = name
        self._reserved = frozenset(reserved)
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.values: dict[str, ValueInfoProto] = {}
        self._names, self._node_names = Names(self._reserved), Names()
        self.layer = ""
        """Name of the layer that nodes belong to which are appended now; "" for none."""

    # ---- values -------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """Let values have the names that were reserved."""
        self._names.free(self._reserved)

    def shape(self, name: str) -> Shape:
        """Shape of a value, `("batch", …)` for data."""
        return tensor_shape(self.values[name])

    def elem_type(self, name: str) -> int:
        """Element type of a value, of `TensorProto`."""
        return int(self.values[name].type.tensor_type.elem_type)

    def input(self, name: str, sample_shape: Sequence[int], elem_type: int = TensorProto.FLOAT) -> str:
        """Declare a graph input `[batch, *sample_shape]`."""
        name = self._names(name)
        self.values[name] = helper.make_tensor_value_info(name, elem_type, [BATCH, *sample_shape])
        self.inputs.append(name)
        return name

    def state_shape(self, name: str, sample_shape: Sequence[int]) -> None:
        """Say that a value is `[batch, *sample_shape]`, where that cannot be inferred."""
        elem_type = self.values[name].type.tensor_type.elem_type
        self.values[name] = helper.make_tensor_value_info(name, elem_type, [BATCH, *sample_shape])

    def output(self, name: str) -> None:
        """Declare an existing value a graph output."""
        self.outputs.append(name)

    def constant(self, name: str, values: Array) -> str:
        """Add an initializer; returns its (unique) name."""
        return self._initializer(name, np.ascontiguousarray(values))

    def _initializer(self, name: str, values: Array) -> str:
        name = self._names(name)
        tensor = numpy_helper.from_array(values, name)
        self.initializers[name] = tensor
        self.values[name] = helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims))
        return name

    def quantized_constant(self, name: str, values: Array) -> str:
        """Weights that already lie on a grid, as initializer and standard QONNX `Quant`; returns `name.q`.

        Raises:
            PrecisionError: as `weight_quantizer`.
        """
        parameters, attributes = weight_quantizer(name, values)
        source = self.constant(name, np.asarray(values, dtype=np.float32))
        # without dimensions, as other tools expect the parameters of a whole tensor
        parts = [self._initializer(f"{name}.{part}", value) for part, value in parameters.items()]
        (result,) = self.node("Quant", [source, *parts], [f"{name}.q"], domain=QUANT_DOMAIN, **attributes)
        return result

    # ---- nodes --------------------------------------------------------------------------------------------------

    def node(
        self,
        op_type: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        domain: str = "",
        name: str = "",
        **attrs: Any,
    ) -> tuple[str, ...]:
        """Append a node and infer its results.

        Args:
            op_type: operator; one of ours when `domain` is DOMAIN.
            inputs: names of existing values, "" for an omitted optional input.
            outputs: wanted names; made unique.
            domain: domain of the operator, "" for standard ONNX.
            name: node name, by default that of the first output.
            attrs: attributes; None is left out.

        Returns:
            The names of the results.
        """
        unique = [self._names(wanted) for wanted in outputs]
        node = helper.make_node(
            op_type, list(inputs), unique, name=self._node_names(name or unique[0]), domain=domain, **attrs
        )
        if self.layer:
            assign(node, self.layer)
        self.nodes.append(node)
        for value in infer_node(node, self.values, self.initializers):
            self.values[value.name] = value
        return tuple(unique)

    def sparse(self, op_type: str, inputs: Sequence[str], outputs: Sequence[str], **attrs: Any) -> tuple[str, ...]:
        """Append a node of this package's domain."""
        return self.node(op_type, inputs, outputs, domain=DOMAIN, **attrs)

    def build(self) -> ModelProto:
        """The model: all types stated, no functions attached yet (see passes.attach_functions)."""
        middle = [v for k, v in self.values.items() if k not in {*self.inputs, *self.outputs, *self.initializers}]
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [self.values[n] for n in self.inputs],
            [self.values[n] for n in self.outputs],
            list(self.initializers.values()),
            value_info=middle,
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS]
        model: ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        return model


def infer_node(
    node: NodeProto, values: dict[str, ValueInfoProto], initializers: dict[str, TensorProto], opset: int = OPSET
) -> list[ValueInfoProto]:
    """Types and shapes of a node's outputs from those of its inputs.

    Raises:
        ModelFileError: if the node is not valid with these inputs.
    """
    if node.domain == QUANT_DOMAIN:
        return [_renamed(values[node.input[0]], node.output[0])]
    if node.domain == DOMAIN:
        inputs = [values[n] if n else None for n in node.input]
        try:
            return operators()[node.op_type].output_values(node, inputs)
        except ValueError as error:
            raise ModelFileError(f"node {node.name!r} ({node.op_type})", f"does not fit its inputs: {error}") from error
    schema = onnx.defs.get_schema(node.op_type, opset, "" if node.domain == "ai.onnx" else node.domain)
    known = {n: values[n].type for n in node.input if n}
    data = {n: initializers[n] for n in node.input if n in initializers}
    opsets = [helper.make_opsetid("", opset)]
    try:
        types = shape_inference.infer_node_outputs(
            schema, node, known, data, opset_imports=opsets, ir_version=IR_VERSION
        )
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError) as error:
        raise ModelFileError(f"node {node.name!r} ({node.op_type})", f"does not fit its inputs: {error}") from error
    return [helper.make_value_info(n, types[n]) if n in types else ValueInfoProto(name=n) for n in node.output if n]


def _renamed(value: ValueInfoProto, name: str) -> ValueInfoProto:
    copy = ValueInfoProto()
    copy.CopyFrom(value)
    copy.name = name
    return copy


def all_values(model: ModelProto) -> dict[str, ValueInfoProto]:
    """Every value of the main graph whose type is stated: inputs, outputs, initializers, and what lies between."""
    graph = model.graph
    values = {v.name: v for v in (*graph.value_info, *graph.input, *graph.output)}
    for tensor in graph.initializer:
        values[tensor.name] = helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
    return values


def initializers(model: ModelProto) -> dict[str, Array]:
    """Initializers by name."""
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def read_metadata(model: ModelProto) -> dict[str, str]:
    """The model's metadata properties."""
    return {p.key: p.value for p in model.metadata_props}


def with_metadata(model: ModelProto, entries: Iterable[tuple[str, str]]) -> ModelProto:
    """The same model with metadata properties added or replaced."""
    result = ModelProto()
    result.CopyFrom(model)
    helper.set_model_props(result, {**read_metadata(model), **dict(entries)})
    return result
