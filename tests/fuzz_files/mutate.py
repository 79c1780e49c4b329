"""Mutations of a valid file, from the bytes up to the meaning; all follow from the seed and the case's number."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from fuzz_files.names import DOMAINS, NAMES, OPERATORS, UNARY
from fuzz_files.values import FLOATS, INTEGERS, TYPES

Mutation = Callable[[random.Random, ModelProto], None]


def mutant(base: ModelProto, rng: random.Random) -> bytes:
    """A mutated copy, serialized."""
    model = ModelProto()
    model.CopyFrom(base)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 6))):
        (mutation,) = rng.choices(MUTATIONS, WEIGHTS)
        try:
            mutation(rng, model)
        except (ValueError, TypeError, OverflowError, LookupError):
            continue  # the field does not hold such a value, or there is nothing left to mutate
    data = model.SerializeToString(deterministic=True)
    return raw_bytes(rng, data) if rng.random() < 0.08 else data


# ---- bytes ----------------------------------------------------------------------------------------------------------


def raw_bytes(rng: random.Random, data: bytes) -> bytes:
    """Bits flipped, pieces cut out, repeated or replaced."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        place, length = rng.randrange(len(content) + 1), rng.choice((1, 2, 8, 64, 1024))
        match rng.randrange(5):
            case 0 if place < len(content):
                content[place] ^= 1 << rng.randrange(8)
            case 1:
                del content[place : place + length]
            case 2:
                content[place:place] = content[place : place + length]
            case 3:
                content[place : place + length] = rng.randbytes(length)
            case _:
                del content[place:]
    return bytes(content)


# ---- any field ------------------------------------------------------------------------------------------------------


def any_field(rng: random.Random, model: ModelProto) -> None:
    """A random field of a random message: another value, gone, or doubled."""
    message: Message = model
    while True:
        children = [(f, v) for f, v in message.ListFields() if f.type == FieldDescriptor.TYPE_MESSAGE]
        if not children or rng.random() < 0.15:
            break
        field, value = rng.choice(children)
        message = rng.choice(value) if is_repeated(value) else value
    field = rng.choice([f for f, _ in message.ListFields()] or list(message.DESCRIPTOR.fields))
    value = getattr(message, field.name)
    if rng.random() < 0.2:
        message.ClearField(field.name)
    elif is_repeated(value):
        _change_list(rng, field, value)
    elif field.type != FieldDescriptor.TYPE_MESSAGE:
        setattr(message, field.name, any_value(rng, field))


def is_repeated(value: Any) -> bool:
    return not isinstance(value, str | bytes | Message) and hasattr(value, "__len__")


def _change_list(rng: random.Random, field: FieldDescriptor, values: Any) -> None:
    is_message = field.type == FieldDescriptor.TYPE_MESSAGE
    match rng.randrange(4):
        case 0 if len(values):
            del values[rng.randrange(len(values))]
        case 1 if len(values):
            values.extend([values[rng.randrange(len(values))]] * rng.choice((1, 1, 100)))
        case 2 if len(values) > 1 and is_message:
            a, b = rng.randrange(len(values)), rng.randrange(len(values))
            kept = type(values[a])()
            kept.CopyFrom(values[a])
            values[a].CopyFrom(values[b])
            values[b].CopyFrom(kept)
        case _:
            if is_message:
                values.add()
            elif len(values):
                values[rng.randrange(len(values))] = any_value(rng, field)
            else:
                values.append(any_value(rng, field))


def any_value(rng: random.Random, field: FieldDescriptor) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        return any_name(rng)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return any_name(rng).encode()
    if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return rng.choice(FLOATS)
    return rng.choice(INTEGERS)


def any_name(rng: random.Random) -> str:
    if rng.random() < 0.002:
        return "m" * 10_000_000
    return rng.choice(NAMES)


# ---- names ----------------------------------------------------------------------------------------------------------


def rename_tensor(rng: random.Random, model: ModelProto) -> None:
    """A tensor renamed wherever it stands: the file stays valid."""
    graph = model.graph
    everything = [*graph.input, *graph.output, *graph.value_info, *graph.initializer]
    old, new = rng.choice(everything).name, any_name(rng)
    for thing in everything:
        if thing.name == old:
            thing.name = new
    for node in graph.node:
        for names in (node.input, node.output):
            for n, name in enumerate(names):
                if name == old:
                    names[n] = new
    for entry in model.metadata_props:
        entry.key = entry.key.replace(f".{old}", f".{new}")


def rename_node(rng: random.Random, model: ModelProto) -> None:
    rng.choice(model.graph.node).name = any_name(rng)


def other_texts(rng: random.Random, model: ModelProto) -> None:
    """Texts that nothing computes with."""
    text = any_name(rng)
    match rng.randrange(6):
        case 0:
            model.doc_string = text
        case 1:
            model.graph.doc_string = text
        case 2:
            rng.choice(model.graph.node).doc_string = text
        case 3:
            model.producer_name = model.producer_version = text
        case 4:
            model.metadata_props.add(key=any_name(rng), value=text)
        case _:
            model.graph.name = model.domain = text


def input_type(rng: random.Random, model: ModelProto) -> None:
    """Another fixed-point type of the input."""
    for entry in model.metadata_props:
        if entry.key.startswith("sparse_qonnx.input_precision."):
            entry.value = rng.choice(TYPES)


# ---- structure ------------------------------------------------------------------------------------------------------


def drop_node(rng: random.Random, model: ModelProto) -> None:
    del model.graph.node[rng.randrange(len(model.graph.node))]


def double_node(rng: random.Random, model: ModelProto) -> None:
    node = model.graph.node.add()
    node.CopyFrom(rng.choice(model.graph.node))
    if rng.random() < 0.7:
        node.name += "_again"
        for n, name in enumerate(node.output):
            node.output[n] = f"{name}_again"


def shuffle_nodes(rng: random.Random, model: ModelProto) -> None:
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    rng.shuffle(nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def rewire(rng: random.Random, model: ModelProto) -> None:
    """A node reads another tensor: a later one, its own, one of another type, none."""
    graph = model.graph
    names = [n for node in graph.node for n in (*node.input, *node.output)] + ["", "missing"]
    node = rng.choice(graph.node)
    match rng.randrange(5):
        case 0:
            node.input.append(rng.choice(names))
        case 1 if len(node.input):
            del node.input[rng.randrange(len(node.input))]
        case 2 if len(node.output):
            node.output[rng.randrange(len(node.output))] = rng.choice(names)
        case _:
            node.input[rng.randrange(len(node.input))] = rng.choice(names)


def other_operator(rng: random.Random, model: ModelProto) -> None:
    node = rng.choice(model.graph.node)
    if rng.random() < 0.6:
        node.op_type = rng.choice(OPERATORS)
    else:
        node.domain = rng.choice(DOMAINS)
        if rng.random() < 0.7 and node.domain not in {o.domain for o in model.opset_import}:
            model.opset_import.add(domain=node.domain, version=1)


def insert_node(rng: random.Random, model: ModelProto) -> None:
    """A standard node between a tensor and one that reads it."""
    place = rng.randrange(len(model.graph.node))
    reader = model.graph.node[place]
    n = rng.randrange(len(reader.input))
    source, target = reader.input[n], f"inserted_{rng.randrange(10**6)}"
    op_type = rng.choice(OPERATORS if rng.random() < 0.5 else UNARY)
    extra = [rng.choice([name for node in model.graph.node for name in node.input])] if op_type not in UNARY else []
    node = helper.make_node(op_type, [source, *extra], [target], name=target)
    if rng.random() < 0.5:
        names = ("axis", "axes", "perm", "alpha", "to", "keepdims", "shape", "kernel_shape", "group")
        node.attribute.append(any_attribute(rng, rng.choice(names)))
    reader.input[n] = target
    model.graph.node.insert(place, node)


def opsets(rng: random.Random, model: ModelProto) -> None:
    match rng.randrange(4):
        case 0:
            rng.choice(model.opset_import).version = rng.choice((*INTEGERS, 11, 12, 13, 18, 21, 24, 99))
        case 1:
            del model.opset_import[rng.randrange(len(model.opset_import))]
        case 2:
            model.opset_import.add(domain=rng.choice(DOMAINS), version=rng.choice((1, 2, 19)))
        case _:
            model.ir_version = rng.choice((*INTEGERS, 3, 4, 8, 10, 13))


def functions(rng: random.Random, model: ModelProto) -> None:
    """Functions that redefine, call themselves, or double at every level."""
    kind = rng.randrange(5)
    if kind == 0 and len(model.functions):
        function = rng.choice(model.functions)
        any_field_of = rng.choice(function.node)
        any_field_of.op_type = rng.choice(OPERATORS)
        return
    if kind == 1 and len(model.functions):
        model.functions.append(rng.choice(model.functions))
        return
    domain, op_type = rng.choice(DOMAINS), rng.choice(OPERATORS)
    levels = rng.choice((1, 2, 40))
    for level in range(levels):
        name = op_type if level == levels - 1 else f"level{level}"
        called = "Relu" if level == 0 else f"level{level - 1}"
        nodes = [
            helper.make_node(called, ["x"], ["h"], domain="" if level == 0 else domain),
            helper.make_node(name if kind == 2 else called, ["h"], ["y"], domain=domain if level or kind == 2 else ""),
        ]
        body = helper.make_function(domain, name, ["x"], ["y"], nodes, model.opset_import[:1])
        model.functions.append(body)


# ---- attributes, shapes, data ---------------------------------------------------------------------------------------


def any_attribute(rng: random.Random, name: str) -> AttributeProto:
    value: Any = rng.choice((
        rng.choice(INTEGERS),
        rng.choice(FLOATS),
        rng.choice(NAMES),
        [rng.choice(INTEGERS) for _ in range(rng.choice((1, 2, 3, 9)))],
        [rng.choice(FLOATS)],
        [rng.choice(NAMES[1:])],
        np.zeros((2, 0), np.float32),
    ))  # fmt: skip
    if isinstance(value, np.ndarray):
        value = numpy_helper.from_array(value)
    return helper.make_attribute(name, value)


def attribute(rng: random.Random, model: ModelProto) -> None:
    node = rng.choice([n for n in model.graph.node if n.attribute])
    n = rng.randrange(len(node.attribute))
    old = node.attribute[n]
    match rng.randrange(7):
        case 0:
            del node.attribute[n]
        case 1:
            node.attribute.append(old)
        case 2:
            node.attribute.append(any_attribute(rng, rng.choice(NAMES)))
        case 3:
            old.CopyFrom(any_attribute(rng, old.name))
        case 4:
            old.ref_attr_name = "threshold"
        case _:  # another value of the same type
            if old.type == AttributeProto.INT:
                old.i = rng.choice(INTEGERS)
            elif old.type == AttributeProto.FLOAT:
                old.f = rng.choice(FLOATS)
            elif old.type == AttributeProto.STRING:
                old.s = rng.choice((b"RND", b"TRN_ZERO", b"WRAP_SM", b"SAT_SYM", b"max", b"floor", b"HALF_DOWN", b""))
            elif old.ints:
                old.ints[rng.randrange(len(old.ints))] = rng.choice(INTEGERS)


def shape(rng: random.Random, model: ModelProto) -> None:
    graph = model.graph
    value = rng.choice([*graph.input, *graph.output, *graph.value_info])
    kind = value.type.tensor_type
    match rng.randrange(6):
        case 0:
            kind.ClearField("shape")
        case 1:
            kind.elem_type = rng.choice(INTEGERS[:9])
        case 2:
            kind.shape.dim.add(dim_value=rng.choice(INTEGERS))
        case 3 if value in graph.value_info:
            graph.value_info.remove(value)
        case _:
            dim = rng.choice(kind.shape.dim)
            if rng.random() < 0.7:
                dim.dim_value = rng.choice(INTEGERS)
            else:
                dim.dim_param = any_name(rng)


def constant(rng: random.Random, model: ModelProto) -> None:
    """Another value, type, shape, or amount of data."""
    tensor = rng.choice(model.graph.initializer)
    match rng.randrange(7):
        case 0:
            tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(INTEGERS)
        case 1:
            tensor.data_type = rng.choice(INTEGERS[:9])
        case 2:
            tensor.raw_data = raw_bytes(rng, tensor.raw_data)
        case 3:
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=rng.choice(("/etc/passwd", "../x", "x", "", *NAMES)))
        case 4:
            array = rng.choice((np.zeros(0), np.ones((2, 2)), np.full((3, 3, 3, 3), 2.0**-60), np.arange(4) * 1e30))
            tensor.CopyFrom(numpy_helper.from_array(array.astype(rng.choice((np.float32, np.float64))), tensor.name))
        case _ if tensor.data_location == TensorProto.DEFAULT:
            array = numpy_helper.to_array(tensor).copy()
            flat = array.reshape(-1)
            number = rng.choice(FLOATS) if array.dtype.kind == "f" else rng.choice(INTEGERS)
            flat[rng.randrange(len(flat))] = number
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


MUTATIONS, WEIGHTS = zip(
    *[(any_field, 12), (rename_tensor, 12), (rename_node, 8), (other_texts, 4), (input_type, 3), (drop_node, 3),
      (double_node, 3), (shuffle_nodes, 1), (rewire, 8), (other_operator, 6), (insert_node, 10), (opsets, 3),
      (functions, 3), (attribute, 14), (shape, 8), (constant, 12)],
    strict=True,
)  # fmt: skip
