"""Constants: as many values as their dimensions say, all of them finite, none of them somewhere else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from onnx import FunctionProto, GraphProto, ModelProto, TensorProto, helper, numpy_helper

from sparse_qonnx.errors import ModelFileError, PrecisionError
from sparse_qonnx.limits import Limits
from sparse_qonnx.standard import rule_of
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.uses import reads

_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)
_PACKED_BITS = {
    getattr(TensorProto, name): bits
    for name, bits in (("INT4", 4), ("UINT4", 4), ("FLOAT4E2M1", 4), ("INT2", 2), ("UINT2", 2))
    if hasattr(TensorProto, name)
}
_MOST_DIMENSIONS = 8


def all_tensors(model: ModelProto, functions: Iterable[FunctionProto]) -> Iterator[TensorProto]:
    """Every constant of a model: initializers and attributes, of subgraphs and of the given functions too."""
    graphs: list[GraphProto] = [model.graph]
    lists = [function.node for function in functions]
    while graphs or lists:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            lists.append(graph.node)
            continue
        for node in lists.pop():
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                if attribute.HasField("g"):
                    graphs.append(attribute.g)
                yield from attribute.tensors
                graphs.extend(attribute.graphs)


def check_constants(model: ModelProto, functions: Iterable[FunctionProto], where: str, limits: Limits) -> None:
    """Sizes of all constants, and that weights are finite.

    Raises:
        ModelFileError: dimensions that do not fit the data, or data in another file.
        PrecisionError: an initializer that holds NaN or infinity.
    """
    for tensor in all_tensors(model, functions):
        name = f"constant {tensor.name!r} of {where}"
        if tensor.data_location == TensorProto.EXTERNAL:
            problem = "is in another file, which can only be read from the model's folder"
            raise ModelFileError(name, problem, fix="pass the path of the model, or save it in one file")
        check_size(tensor, name, limits)
    _check_finite(model)


def _check_finite(model: ModelProto) -> None:
    """No operator that computes with data computes with NaN or infinity, itself or in what is made of it.

    Those that choose among values may have it: a maximum that a tool has written out begins at minus infinity.
    """
    tensors = [t for t in model.graph.initializer if t.data_type in _FLOATS]
    made_of = {t.name: t.name for t in tensors if not np.isfinite(numpy_helper.to_array(t)).all()}
    data = {value.name for value in model.graph.input}
    for node in model.graph.node if made_of else ():
        bad = next((made_of[name] for name in reads(node) if name in made_of), None)
        rule, is_data = rule_of(node.domain, node.op_type), not data.isdisjoint(reads(node))
        if not is_data:
            made_of |= {name: bad for name in node.output if bad is not None}
        elif bad is not None and rule is not None and not (issubclass(rule, StandardOp) and rule.moves):
            where = f"initializer {bad!r}"
            raise PrecisionError(where, "holds NaN or infinity", allowed="finite numbers", fix="train again or repair")
        data.update(node.output if is_data else ())


def check_size(tensor: TensorProto, where: str, limits: Limits) -> int:
    """Bytes of a constant, whose data must be exactly as much as its dimensions say.

    Raises:
        ModelFileError: it is not, or is more than the limits allow.
    """
    if any(d < 0 for d in tensor.dims) or len(tensor.dims) > _MOST_DIMENSIONS:
        allowed = f"at most {_MOST_DIMENSIONS} dimensions, none negative"
        raise ModelFileError(where, f"has the dimensions {list(tensor.dims)[:16]}", allowed=allowed)
    values: int = math.prod(tensor.dims)
    limits.check("tensor_values", values, where)
    if tensor.HasField("segment"):
        raise ModelFileError(where, "is stored in segments", allowed="one piece")
    if tensor.data_type == TensorProto.STRING:
        _expect(where, len(tensor.string_data), values, "texts")
        return sum(len(text) for text in tensor.string_data)
    try:
        bits: int = _PACKED_BITS.get(tensor.data_type) or 8 * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except KeyError as error:
        raise ModelFileError(where, f"has the unknown element type {tensor.data_type}") from error
    size = -(-values * bits // 8)
    if tensor.data_location == TensorProto.EXTERNAL:
        return size
    if tensor.HasField("raw_data"):
        _expect(where, len(tensor.raw_data), size, "bytes")
        return size
    stored = getattr(tensor, helper.tensor_dtype_to_field(tensor.data_type))
    per_entry = 1 if bits >= 8 else 8 // bits
    _expect(where, len(stored), -(-values // per_entry), "entries")
    return size


def _expect(where: str, found: int, wanted: int, unit: str) -> None:
    if found != wanted:
        raise ModelFileError(where, f"holds {found:,} {unit}", allowed=f"{wanted:,}, as its dimensions say")
