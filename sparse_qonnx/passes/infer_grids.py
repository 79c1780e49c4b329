"""The proof: an exact grid for every tensor of a graph, and the bits every node's arithmetic needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from onnx import ModelProto, NodeProto, ValueInfoProto, helper

from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.graph import all_values, read_metadata, tensor_shape
from sparse_qonnx.grid import Array, Grid, NodeContext, NodeProof
from sparse_qonnx.numerators import read_numerators
from sparse_qonnx.ops import DOMAIN, operators
from sparse_qonnx.ops._base import Shape
from sparse_qonnx.passes.remembered import remembered
from sparse_qonnx.standard import rule_of
from sparse_qonnx.uses import reads

PRECISION_KEY = "sparse_qonnx.input_precision."
"""Prefix of the metadata properties that hold the type of each input."""


@dataclass
class Proof:
    """What is known of a graph: grids by tensor name, node proofs by node name, and constant tensors.

    Values of which the graph holds numerators have a grid, too, under their own names.
    """

    grids: dict[str, Grid | None] = field(default_factory=dict)
    nodes: dict[str, NodeProof] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)


def input_types(model: ModelProto) -> dict[str, FixedPointType]:
    """The stated fixed-point type of each input that has one.

    Tools that rename tensors leave the metadata as it is: where every stated name is gone and there are as many as
    there are inputs, they are taken in order.
    """
    stated = {
        key[len(PRECISION_KEY) :]: FixedPointType.parse(text, where=f"metadata {key!r}")
        for key, text in read_metadata(model).items()
        if key.startswith(PRECISION_KEY)
    }
    names = [v.name for v in model.graph.input]
    renamed = len(stated) == len(names) and not stated.keys() & set(names)
    return dict(zip(names, stated.values(), strict=True)) if renamed else stated


def node_attributes(node: NodeProto) -> dict[str, object]:
    """Attributes of a node as Python values, defaults of our operators filled in."""
    if node.domain == DOMAIN and node.op_type in operators():
        return operators()[node.op_type].read_attributes(node)
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode("utf-8", errors="replace") if isinstance(v, bytes) else v for k, v in values.items()}


def _is_static(node: NodeProto, values: dict[str, ValueInfoProto]) -> bool:
    """Whether every dimension but the batch of every tensor of a node is known: rules count on it."""
    names = [name for name in (*node.input, *node.output) if name]
    shapes = [tensor_shape(values[name]) for name in names if name in values]
    return len(shapes) == len(names) and all(isinstance(n, int) for shape in shapes for n in shape[1:])


_OF_CONSTANTS = ("Quant", "Cast", "Identity", "Mul")
"""Operators whose rule also holds for a constant, which has a grid of its full rank and not of one sample's."""


def _fits(grid: Grid | None, shape: Shape) -> bool:
    """Whether limits broadcast against one sample of a tensor."""
    if grid is None:
        return False
    pairs = zip(reversed(grid.lo.shape), reversed(shape[1:]), strict=False)
    return grid.lo.ndim <= len(shape[1:]) and all(a in (1, b) for a, b in pairs)


def infer_grids(model: ModelProto) -> Proof:
    """Grids of all tensors, from the input types in the metadata through every node in order.

    Within `remembered.proven_once`, what was proven before is taken from there.

    Raises:
        PrecisionError: where a quantizer's parameters are no constants or exactness is impossible.
    """
    values, known, proof = all_values(model), remembered(), Proof()
    for tensor in model.graph.initializer:
        proof.constants[tensor.name], grid = known.constant(tensor)
        if grid is not None:
            proof.grids[tensor.name] = grid
    for name, kind in input_types(model).items():
        if name in values:
            proof.grids[name] = known.of_type(kind, len(tensor_shape(values[name])) - 1)
    live = {value.name for value in model.graph.input}
    for node in model.graph.node:
        is_live = not live.isdisjoint(reads(node))
        context = node_context(node, values, proof)
        rule = rule_of(node.domain, node.op_type) if _is_static(node, values) else None
        if not is_live and node.op_type not in _OF_CONSTANTS:
            rule = None
        result = NodeProof((None,) * len(node.output)) if rule is None else known.node(node, context, rule.prove)
        if is_live:
            live.update(node.output)
            grids = zip(result.outputs, context.output_shapes, strict=False)
            result = replace(result, outputs=tuple(grid if _fits(grid, shape) else None for grid, shape in grids))
        proof.nodes[node.name] = result
        for name, grid in zip(node.output, result.outputs, strict=False):
            proof.grids[name] = grid
    for name, stated in read_numerators(model).items():
        numerators = proof.grids.get(name)
        if numerators is not None:
            proof.grids.setdefault(stated.value, stated.grid_of_values(numerators))
    return proof


def node_context(node: NodeProto, values: Mapping[str, ValueInfoProto], proof: Proof) -> NodeContext:
    """A node as its rule sees it, given what is known of the tensors that go into it."""
    inputs, outputs = (
        tuple(tensor_shape(values[n]) if n in values else () for n in names) for names in (node.input, node.output)
    )
    return NodeContext(
        node.name,
        node.op_type,
        node_attributes(node),
        inputs,
        tuple(proof.grids.get(n) for n in node.input),
        tuple(proof.constants.get(n) for n in node.input),
        outputs,
    )
