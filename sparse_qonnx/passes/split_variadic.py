"""Operators of many tensors as a chain of operators of two."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto, helper

from sparse_qonnx.graph import all_values, tensor_shape
from sparse_qonnx.ops._base import Shape

VARIADIC = ("Concat", "Max", "Min")


def split_variadic(model: ModelProto) -> ModelProto:
    """Each `Concat`, `Max` and `Min` of three tensors or more as nodes of two: `f(f(a, b), c)`.

    The last node keeps the name and the result; those before it are named after it, `merged.1`, `merged.2` and so on.
    """
    result = ModelProto()
    result.CopyFrom(model)
    values = all_values(result)
    nodes: list[NodeProto] = []
    for node in result.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in VARIADIC or len(node.input) < 3:
            nodes.append(node)
            continue
        for part, value in _parts(node, values):
            nodes.append(part)
            if value is not None:
                result.graph.value_info.append(value)
                values[value.name] = value
    kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del result.graph.node[:]
    result.graph.node.extend(kept)
    return result


def _parts(node: NodeProto, values: dict[str, ValueInfoProto]) -> Iterator[tuple[NodeProto, ValueInfoProto | None]]:
    held = node.input[0]
    for n, other in enumerate(node.input[1:], start=1):
        is_last = n == len(node.input) - 1
        part = NodeProto()
        part.CopyFrom(node)
        del part.input[:], part.output[:]
        part.input.extend([held, other])
        part.name = node.name if is_last else f"{node.name}.{n}"
        part.output.append(node.output[0] if is_last else f"{node.output[0]}.{n}")
        shape = _joined(node, tensor_shape(values[held]), tensor_shape(values[other]))
        element = values[held].type.tensor_type.elem_type
        held = part.output[0]
        yield part, None if is_last else helper.make_tensor_value_info(held, element, shape)


def _joined(node: NodeProto, a: Shape, b: Shape) -> Shape:
    """Shape of the result of two."""
    if node.op_type == "Concat":
        axis = next(helper.get_attribute_value(attribute) for attribute in node.attribute if attribute.name == "axis")
        first, second = a[axis], b[axis]
        assert isinstance(first, int) and isinstance(second, int)
        axis %= len(a)
        return (*a[:axis], first + second, *a[axis + 1 :])
    # The batch has a name and stands first; an operand without it broadcasts.
    batch = next((d for d in (*a[:1], *b[:1]) if not isinstance(d, int)), None)
    sizes = ([d if isinstance(d, int) else 1 for d in shape] for shape in (a, b))
    known = np.broadcast_shapes(*map(tuple, sizes))
    return known if batch is None else (batch, *known[1:])
