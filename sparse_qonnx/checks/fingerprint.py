"""What a function computes, whatever order its nodes are in, what its tensors are called and how it writes constants.

Tools that read and write a model sort nodes anew, name them, drop those that nothing reads, and turn one form of
constant into another. None of this changes a value, so none of it is in the fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import onnx
from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    NodeProto,
    OperatorSetIdProto,
    TensorProto,
    helper,
    numpy_helper,
)

from sparse_qonnx.checks.structure import STANDARD_DOMAINS
from sparse_qonnx.graph import OPSET

_SCALARS = {"value_float": ("f", TensorProto.FLOAT), "value_int": ("i", TensorProto.INT64), "value_string": ("s", 8)}
_LISTS = {
    "value_floats": ("floats", TensorProto.FLOAT),
    "value_ints": ("ints", TensorProto.INT64),
    "value_strings": ("strings", TensorProto.STRING),
}
"""Attributes of `Constant`, where each keeps its value, and the element type of the tensor that it stands for."""


def fingerprint(function: FunctionProto) -> bytes:
    """Equal for functions that compute the same in the same way; a digest of the expressions behind their outputs."""
    values = {name: _digest("input", n) for n, name in enumerate(function.input)}
    _add(function.node, values, 0)
    used = {_domain(node.domain) for node in function.node}
    opsets = sorted((_domain(o.domain), _version(o)) for o in function.opset_import if _domain(o.domain) in used)
    defaults = [_attribute(attribute, {}, 0) for attribute in sorted(function.attribute_proto, key=lambda a: a.name)]
    return _digest(
        "function",
        (function.domain, function.name, opsets, sorted(function.attribute), len(function.input)),
        *defaults,
        *(values.get(name, b"") for name in function.output),
    )


def constant_tensor(node: NodeProto) -> TensorProto | None:
    """The tensor that a `Constant` node is; None for one that follows an attribute of its function, and for others."""
    if node.op_type != "Constant" or node.domain not in STANDARD_DOMAINS or len(node.attribute) != 1:
        return None
    (attribute,) = node.attribute
    if attribute.ref_attr_name:
        return None
    if attribute.name == "value" and attribute.HasField("t"):
        tensor: TensorProto = attribute.t
        return tensor
    if attribute.name in _SCALARS:
        field, kind = _SCALARS[attribute.name]
        return helper.make_tensor("", kind, [], [getattr(attribute, field)])
    if attribute.name in _LISTS:
        field, kind = _LISTS[attribute.name]
        return helper.make_tensor("", kind, [len(getattr(attribute, field))], list(getattr(attribute, field)))
    return None


def _add(nodes: Iterable[NodeProto], values: dict[str, bytes], depth: int) -> None:
    """The digests of what nodes make, beside those that are known already."""
    for node in nodes:
        constant = constant_tensor(node)
        made = _tensor(constant) if constant is not None else _node(node, values, depth)
        for n, name in enumerate(node.output):
            if name:
                values[name] = made if constant is not None else _digest("output", n, made)


def _node(node: NodeProto, values: Mapping[str, bytes], depth: int) -> bytes:
    inputs = [values.get(name, b"unknown") if name else b"" for name in node.input]
    while inputs and not inputs[-1]:
        inputs.pop()
    attributes = [_attribute(a, values, depth) for a in sorted(node.attribute, key=lambda a: a.name)]
    kind = (_domain(node.domain), node.op_type, str(getattr(node, "overload", "")))
    return _digest("node", kind, len(node.output), len(inputs), *inputs, *attributes)


def _attribute(attribute: AttributeProto, values: Mapping[str, bytes], depth: int) -> bytes:
    said = (attribute.name, attribute.type, attribute.ref_attr_name)
    if attribute.HasField("g"):
        return _digest("graph", said, _graph(attribute.g, values, depth + 1))
    if attribute.HasField("t"):
        return _digest("tensor", said, _tensor(attribute.t))
    bare = AttributeProto()
    bare.CopyFrom(attribute)
    bare.ClearField("doc_string")
    return _digest("value", bare.SerializeToString(deterministic=True))


def _graph(graph: GraphProto, outside: Mapping[str, bytes], depth: int) -> bytes:
    values = dict(outside)
    values |= {value.name: _digest("argument", depth, n) for n, value in enumerate(graph.input)}
    values |= {tensor.name: _tensor(tensor) for tensor in graph.initializer}
    _add(graph.node, values, depth)
    return _digest("results", len(graph.input), *(values.get(value.name, b"unknown") for value in graph.output))


def _tensor(tensor: TensorProto) -> bytes:
    """Of its type, shape and values; of the message itself where those cannot be had, which no body of ours has."""
    if tensor.data_location == TensorProto.EXTERNAL:
        return _digest("elsewhere", tensor.SerializeToString(deterministic=True))
    try:
        values = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError):
        return _digest("unreadable", tensor.SerializeToString(deterministic=True))
    content = repr(values.tolist()) if tensor.data_type == TensorProto.STRING else values.tobytes()
    return _digest("constant", tensor.data_type, tuple(tensor.dims), content)


def _version(opset: OperatorSetIdProto) -> int:
    """Of an operator set; all that the bodies of ours may be written in are the same, in which their operators are."""
    newest = onnx.defs.onnx_opset_version()
    return OPSET if _domain(opset.domain) == "" and OPSET <= opset.version <= newest else int(opset.version)


def _domain(domain: str) -> str:
    return "" if domain in STANDARD_DOMAINS else domain


def _digest(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode("utf-8", errors="backslashreplace")).digest()
