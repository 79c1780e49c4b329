"""Shapes: inferred from the inputs through every node; what a file states is believed where nothing can be."""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from sparse_qonnx.checks.structure import STANDARD_DOMAINS
from sparse_qonnx.errors import ModelFileError
from sparse_qonnx.graph import QUANT_DOMAIN, infer_node, tensor_shape
from sparse_qonnx.limits import Limits
from sparse_qonnx.ops import DOMAIN, operators
from sparse_qonnx.ops._base import Shape, SparseOp
from sparse_qonnx.ops.fixed_point_quant import NO_COORDS
from sparse_qonnx.standard.quant import Quant
from sparse_qonnx.uses import subgraphs

_SMALL = 4096
"""Values of a constant that shapes may depend on; larger ones are weights."""


def with_inferred_shapes(model: ModelProto, limits: Limits) -> ModelProto:
    """The model with the type of every tensor that can be inferred; a copy where one was missing.

    Raises:
        ModelFileError: a stated type that contradicts the inferred one, or a tensor that is too large.
        UnsupportedNodeError: attributes or inputs that an operator of this package does not have.
    """
    graph = model.graph
    values: dict[str, ValueInfoProto] = {}
    stated = {v.name: v for v in (*graph.value_info, *graph.output)}
    constants = {t.name: t for t in graph.initializer}
    for tensor in graph.initializer:
        values[tensor.name] = helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
    for value in graph.input:
        _check_value(value, limits)
        if 0 in tensor_shape(value)[1:]:
            raise ModelFileError(f"input {value.name!r}", f"has the shape {_shown(tensor_shape(value))}: no values")
        values[value.name] = value
    opset = next((o.version for o in model.opset_import if o.domain in STANDARD_DOMAINS), 1)
    missing = []
    for node in graph.node:
        for value in _infer(node, values, constants, opset, limits):
            known = stated.get(value.name)
            merged = value if known is None else _merged(value, known)
            _check_value(merged, limits)
            values[value.name] = merged
            if known is None or merged.type != known.type:
                missing.append(merged)
        for name in node.output:
            if name and name not in values and name in stated:
                _check_value(stated[name], limits)
                values[name] = stated[name]
        _check_held(node, values, limits)
    return _completed(model, missing) if missing else model


def _completed(model: ModelProto, missing: list[ValueInfoProto]) -> ModelProto:
    result = ModelProto()
    result.CopyFrom(model)
    places = {v.name: v for v in (*result.graph.value_info, *result.graph.output)}
    for value in missing:
        if value.name in places:
            places[value.name].type.CopyFrom(value.type)
        else:
            result.graph.value_info.append(value)
    return result


def _infer(
    node: NodeProto,
    values: dict[str, ValueInfoProto],
    constants: dict[str, TensorProto],
    opset: int,
    limits: Limits,
) -> list[ValueInfoProto]:
    """Types of a node's outputs; nothing where they depend on data, on a function, or on what is unknown."""
    if node.domain == DOMAIN:
        _check_ports(node, operators()[node.op_type], values)
    elif node.domain == QUANT_DOMAIN and node.op_type == "Quant":
        _check_quant(node)
    elif node.domain not in STANDARD_DOMAINS or any(True for _ in subgraphs(node)):
        return []
    if any(name and not values.get(name, _NOTHING).type.tensor_type.HasField("shape") for name in node.input):
        return []
    if node.domain == DOMAIN:
        _check_sizes(node, limits)
    if node.op_type in ("Quant", "FixedPointQuant"):
        _check_parameters(node, values, constants)
    small = {n: constants[n] for n in node.input if n in constants and math.prod(constants[n].dims) <= _SMALL}
    try:
        found = infer_node(node, values, small, opset)
    except onnx.defs.SchemaError as error:
        where = f"node {node.name!r} ({node.op_type})"
        raise ModelFileError(where, f"is not in operator set {opset}", fix="check the name") from error
    return [value for value in found if value.type.tensor_type.HasField("shape")]


_NOTHING = ValueInfoProto()


def _check_ports(node: NodeProto, op: type[SparseOp], values: dict[str, ValueInfoProto]) -> None:
    """Inputs and outputs of one of our operators: as many as there are ports, each of the rank that its port has."""
    where = f"node {node.name!r} ({node.op_type})"
    required = sum(not port.optional for port in op.inputs)
    given = list(node.input)
    if not required <= len(given) <= len(op.inputs) or not all(given[:required]):
        names = ", ".join(port.name + ("?" if port.optional else "") for port in op.inputs)
        raise ModelFileError(where, f"has {len([n for n in given if n])} inputs", allowed=names)
    if len(node.output) != len(op.outputs) or not all(node.output):
        raise ModelFileError(where, f"has {len(node.output)} outputs", allowed=", ".join(p.name for p in op.outputs))
    for name, port in zip(given, op.inputs, strict=False):
        kind = values.get(name, _NOTHING).type.tensor_type
        if name and kind.HasField("shape") and port.rank is not None and len(kind.shape.dim) != port.rank:
            shape = list(tensor_shape(values[name]))
            raise ModelFileError(where, f"input {port.name!r} has the shape {shape}", allowed=port.shape)


def _check_quant(node: NodeProto) -> None:
    where = f"node {node.name!r} ({node.op_type})"
    if len(node.input) != 4 or not all(node.input) or len(node.output) != 1 or not node.output[0]:
        allowed = "x, scale, zero point, bit width, and one output"
        raise ModelFileError(where, f"has {len(node.input)} inputs and {len(node.output)} outputs", allowed=allowed)
    Quant.read_attributes(node)


def _check_parameters(node: NodeProto, values: dict[str, ValueInfoProto], constants: dict[str, TensorProto]) -> None:
    """A quantizer's parameters broadcast against its data, or are maps `[H, W, C]` read at coordinates."""
    where = f"node {node.name!r} ({node.op_type})"
    data, *parameters = (tensor_shape(values[name]) for name in node.input[:4])
    if node.op_type == "Quant" and math.prod(n for n in parameters[2] if isinstance(n, int)) != 1:
        raise ModelFileError(where, f"the bit width has the shape {_shown(parameters[2])}", allowed="one number")
    scale = constants.get(node.input[1])
    if node.op_type == "Quant" and scale is not None and not numpy_helper.to_array(scale).all():
        raise ModelFileError(where, "has the scale 0", allowed="another number", fix="export the model again")
    try:
        np.broadcast_shapes(*(tuple(n for n in shape if isinstance(n, int)) for shape in parameters))
    except ValueError as error:
        raise ModelFileError(where, f"its parameters do not fit each other: {error}") from error
    coords = node.input[4] if len(node.input) > 4 else ""
    by_pixel = coords != "" and coords not in constants
    if coords in constants and not np.array_equal(numpy_helper.to_array(constants[coords]), NO_COORDS):
        raise ModelFileError(
            where, f"reads the constant coordinates {coords!r}", allowed="those of the pixels, or none"
        )
    for name, shape in zip(node.input[1:4], parameters, strict=True):
        fits = len(shape) <= (max(3, len(data)) if by_pixel else len(data))
        pairs = zip(reversed(shape), reversed(data), strict=False)
        fits &= all(n in (1, m) or not isinstance(m, int) for n, m in (list(pairs)[:1] if by_pixel else pairs))
        if not fits:
            raise ModelFileError(where, f"{name!r} has the shape {_shown(shape)}", allowed=f"what fits {_shown(data)}")


def _check_sizes(node: NodeProto, limits: Limits) -> None:
    """What the attributes of one of our operators ask for."""
    where = f"node {node.name!r} ({node.op_type})"
    attributes = operators()[node.op_type].read_attributes(node)
    if "n_max_pixels" in attributes:
        limits.check("slots", attributes["n_max_pixels"], where)
    if "spatial_shape" in attributes:
        limits.check("pixels", math.prod(attributes["spatial_shape"]), where)
    if "kernel_shape" in attributes:
        kernel = attributes["kernel_shape"]
        limits.check("window", math.prod(kernel), where)
        for size, dilation in zip(kernel, attributes.get("dilations", (1, 1)), strict=True):
            limits.check("window", (size - 1) * dilation + 1, where)


def _check_held(node: NodeProto, values: dict[str, ValueInfoProto], limits: Limits) -> None:
    """What one of our operators makes of an event on the way, such as the taps that a convolution gathers."""
    if node.domain == DOMAIN:
        held = operators()[node.op_type].held_by(node, values)
        limits.check("sample_values", held, f"node {node.name!r} ({node.op_type})")


def _merged(inferred: ValueInfoProto, stated: ValueInfoProto) -> ValueInfoProto:
    """The inferred type, with what only the file says; an error where they contradict each other."""
    if not stated.type.HasField("tensor_type"):
        return inferred
    found, said = inferred.type.tensor_type, stated.type.tensor_type
    result = ValueInfoProto()
    result.CopyFrom(inferred)
    a, b = tensor_shape(inferred), tensor_shape(stated)
    differs = said.elem_type not in (0, found.elem_type) and found.elem_type != 0
    if said.HasField("shape") and found.HasField("shape"):
        pairs = list(zip(a, b, strict=False))
        differs |= len(a) != len(b) or any(x != y for x, y in pairs if isinstance(x, int) and isinstance(y, int))
        dims = result.type.tensor_type.shape.dim
        for n, (x, _) in enumerate(pairs):
            if not isinstance(x, int) and b[n] is not None:
                dims[n].CopyFrom(said.shape.dim[n])
    elif said.HasField("shape"):
        result.type.tensor_type.shape.CopyFrom(said.shape)
    if differs:
        kinds = [_element(t.elem_type) for t in (said, found)]
        problem = f"is stated to be {kinds[0]} {_shown(b)}"
        raise ModelFileError(f"tensor {inferred.name!r}", problem, allowed=f"{kinds[1]} {_shown(a)}, as inferred")
    return result


def _element(kind: int) -> str:
    known = TensorProto.DataType.values()
    return TensorProto.DataType.Name(kind).lower() if kind in known else f"element type {kind}"


def _shown(shape: Shape) -> str:
    return "[" + ", ".join("?" if n is None else str(n) for n in shape) + "]"


def _check_value(value: ValueInfoProto, limits: Limits) -> None:
    """A tensor of no more values in one event than is allowed, whatever the first dimension, the batch, is."""
    where = f"tensor {value.name!r}"
    shape = tensor_shape(value)
    if value.type.tensor_type.elem_type not in TensorProto.DataType.values():
        raise ModelFileError(where, f"has the unknown {_element(value.type.tensor_type.elem_type)}")
    if any(isinstance(n, int) and n < 0 for n in shape):
        raise ModelFileError(where, f"has the shape {_shown(shape)}", allowed="dimensions of 0 or more")
    limits.check("sample_values", math.prod(n for n in shape[1:] if isinstance(n, int)), where)
    if len(shape) == 4 and isinstance(shape[1], int) and isinstance(shape[2], int):
        limits.check("pixels", shape[1] * shape[2], where)
