"""Operators of many tensors as a chain of operators of two."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto, helper

from sparse_qonnx.graph import all_values, tensor_shape
from sparse_qonnx.naming import Names
from sparse_qonnx.ops._base import Shape
from sparse_qonnx.origin import assign, layers_of

VARIADIC = ("Concat", "Max", "Min")


def split_variadic(model: ModelProto) -> ModelProto:
    """Each `Concat`, `Max` and `Min` of three tensors or more as nodes of two: `f(f(a, b), c)`.

    The last node keeps the name and the result; those before it get fresh ones, `merged.1`, `merged.2` and so on. A
    node that reads a tensor of unknown shape stays as it is.
    """
    result = ModelProto()
    result.CopyFrom(model)
    values = all_values(result)
    layers = layers_of(result.graph.node, result)
    names = Names.of_tensors(result), Names.of_nodes(result)
    nodes: list[NodeProto] = []
    for node in result.graph.node:
        is_variadic = node.domain in ("", "ai.onnx") and node.op_type in VARIADIC and len(node.input) > 2
        if not is_variadic or not _has_known_shapes(node, values):
            nodes.append(node)
            continue
        for part, value in _parts(node, values, layers[node.name], *names):
            nodes.append(part)
            if value is not None:
                result.graph.value_info.append(value)
                values[value.name] = value
    kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del result.graph.node[:]
    result.graph.node.extend(kept)
    return result


def _has_known_shapes(node: NodeProto, values: dict[str, ValueInfoProto]) -> bool:
    """Whether every dimension but the batch of what a node merges is a number, and so is the one that grows."""
    known = [values[name] for name in node.input if name in values]
    if len(known) != len(node.input) or not all(value.type.tensor_type.HasField("shape") for value in known):
        return False
    shapes = [tensor_shape(value) for value in known]
    grows = [shape[_axis(node)] for shape in shapes] if node.op_type == "Concat" else []
    return all(isinstance(size, int) for shape in shapes for size in (*shape[1:], *grows))


def _axis(node: NodeProto) -> int:
    return next(int(attribute.i) for attribute in node.attribute if attribute.name == "axis")


def _parts(
    node: NodeProto, values: dict[str, ValueInfoProto], layer: str, fresh: Names, fresh_node: Names
) -> Iterator[tuple[NodeProto, ValueInfoProto | None]]:
    held = node.input[0]
    for n, other in enumerate(node.input[1:], start=1):
        is_last = n == len(node.input) - 1
        part = NodeProto()
        part.CopyFrom(node)
        del part.input[:], part.output[:]
        part.input.extend([held, other])
        assign(part, layer)
        part.name = node.name if is_last else fresh_node(f"{node.name}.{n}")
        part.output.append(node.output[0] if is_last else fresh(f"{node.output[0]}.{n}"))
        shape = _joined(node, tensor_shape(values[held]), tensor_shape(values[other]))
        element = values[held].type.tensor_type.elem_type
        held = part.output[0]
        yield part, None if is_last else helper.make_tensor_value_info(held, element, shape)


def _joined(node: NodeProto, a: Shape, b: Shape) -> Shape:
    """Shape of the result of two."""
    if node.op_type == "Concat":
        axis = _axis(node)
        first, second = a[axis], b[axis]
        assert isinstance(first, int) and isinstance(second, int)
        axis %= len(a)
        return (*a[:axis], first + second, *a[axis + 1 :])
    # The batch has a name and stands first; an operand without it broadcasts.
    batch = next((d for d in (*a[:1], *b[:1]) if not isinstance(d, int)), None)
    sizes = ([d if isinstance(d, int) else 1 for d in shape] for shape in (a, b))
    known = np.broadcast_shapes(*map(tuple, sizes))
    return known if batch is None else (batch, *known[1:])
