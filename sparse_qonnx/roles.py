"""What a tensor is, asked of the ports of the operators that make and read it; its name says nothing."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import ModelProto, NodeProto

from sparse_qonnx.ops import DOMAIN, operators
from sparse_qonnx.standard import rule_of


def made_coordinates(node: NodeProto) -> Iterator[str]:
    """The results of a node of ours that are coordinates."""
    yield from _at_coordinates(node, is_input=False)


def read_coordinates(node: NodeProto) -> Iterator[str]:
    """What a node of ours reads as coordinates."""
    yield from _at_coordinates(node, is_input=True)


def coordinates(model: ModelProto) -> frozenset[str]:
    """The tensors that are coordinates `[B, N, 2]`: made as such, read as such, or the same under another name."""
    found: set[str] = set()
    for node in model.graph.node:
        found.update(made_coordinates(node), read_coordinates(node))
        if _is_identity(node) and node.input[0] in found:
            found.add(node.output[0])
    for node in reversed(model.graph.node):
        if _is_identity(node) and node.output[0] in found:
            found.add(node.input[0])
    return frozenset(found)


def _is_identity(node: NodeProto) -> bool:
    return bool(getattr(rule_of(node.domain, node.op_type), "is_identity", False))


def _at_coordinates(node: NodeProto, is_input: bool) -> Iterator[str]:
    op = operators().get(node.op_type) if node.domain == DOMAIN else None
    if op is None:
        return
    ports, names = (op.inputs, node.input) if is_input else (op.outputs, node.output)
    yield from (name for port, name in zip(ports, names, strict=False) if port.is_coordinates and name)
