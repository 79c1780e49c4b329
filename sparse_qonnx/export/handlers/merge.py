"""Layers that combine tensors elementwise, and concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sparse_qonnx.export.call import LayerCall, Step
from sparse_qonnx.export.foreign import CONSTANT_BITS, convert, is_on_grid
from sparse_qonnx.export.handlers.shape import to_dense
from sparse_qonnx.export.handlers.sparse_conv import masking_step
from sparse_qonnx.export.quantizers import fills, quantizer_steps, to_numpy
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import DenseValue, MaskValue, SparseValue, Tensor


def _operands(call: LayerCall) -> list[Tensor]:
    """The inputs: all sparse on the same pixels, or all dense; maps on different pixels are read as images."""
    inputs = call.inputs
    if len(inputs) < 2 or len(inputs) != len(call.args[0] if len(call.args) == 1 else call.args):
        call.refuse(f"merges {len(inputs)} tensors", allowed="two tensors or more")
    tensors = call.tensors()
    sparse = [value for value in tensors if isinstance(value, SparseValue)]
    if len(sparse) != len(tensors) or len({value.coords for value in sparse}) > 1:
        tensors = [to_dense(call, value, f"{call.name}.dense{n}") for n, value in enumerate(tensors)]
    return [call.fixed(value) if isinstance(value, DenseValue) else value for value in tensors]


def _quantized(call: LayerCall, operands: Sequence[Tensor]) -> list[Tensor]:
    """The operands after the input quantizers that HGQ2's merge layers have."""
    if not getattr(call.layer, "enable_iq", False):
        return list(operands)
    results = []
    for index, (value, quantizer) in enumerate(zip(operands, call.layer.iq, strict=True)):
        if fills(quantizer) and isinstance(value, SparseValue):
            call.refuse(f"input quantizer {index} with affine={quantizer.affine!r}", allowed="affine=None")
        results.append(call.parts(value, quantizer_steps(call, quantizer, f"iq{index}", len(value.shape))))
    return results


def _output_steps(call: LayerCall, value: Tensor) -> list[Step]:
    if not getattr(call.layer, "enable_oq", False):
        return []
    return quantizer_steps(call, call.layer.oq, "oq", len(value.shape))


def _with(call: LayerCall, part: str, op_type: str, other: str, channels: int) -> Step:
    """A node of two data tensors; channels of length 1 broadcast."""

    def emit(value: Tensor, name: str) -> Tensor:
        (result,) = call.graph.node(op_type, [value.name, other], [name])
        if isinstance(value, SparseValue):
            return replace(value, name=result, channels=max(value.channels, channels))
        return DenseValue(result, call.output_shapes[0])

    return part, emit


def _elementwise(call: LayerCall, op_type: str, last: Sequence[Step] = ()) -> Tensor:
    if len(call.inputs) == 1 and len(call.args) == 2:
        return with_constant(call, op_type)
    first, *others = _quantized(call, _operands(call))
    if len({len(value.shape) for value in (first, *others)}) > 1:
        call.refuse("merges tensors of different ranks", allowed="tensors of one rank", fix="add a Reshape")
    filled = next((v.filled_by for v in (first, *others) if isinstance(v, SparseValue) and v.filled_by), "")
    steps: list[Step] = [
        _with(call, f"{op_type.lower()}{n}", op_type, value.name, value.shape[-1]) for n, value in enumerate(others)
    ]
    start = replace(first, filled_by=filled) if isinstance(first, SparseValue) else first
    return call.chain(start, [*steps, *last, *_output_steps(call, first)])


@handler("keras.layers.Add", "hgq.layers.QAdd", "keras.src.ops.numpy.Add")
def add(call: LayerCall) -> Tensor:
    """Sum."""
    return _elementwise(call, "Add")


@handler("keras.layers.Subtract", "hgq.layers.QSubtract", "keras.src.ops.numpy.Subtract")
def subtract(call: LayerCall) -> Tensor:
    """Difference of two tensors."""
    return _elementwise(call, "Sub")


@handler("keras.layers.Maximum", "hgq.layers.QMaximum", "keras.src.ops.numpy.Maximum")
def maximum(call: LayerCall) -> Tensor:
    """Elementwise maximum."""
    return _elementwise(call, "Max")


@handler("keras.layers.Minimum", "hgq.layers.QMinimum", "keras.src.ops.numpy.Minimum")
def minimum(call: LayerCall) -> Tensor:
    """Elementwise minimum."""
    return _elementwise(call, "Min")


@handler("keras.layers.Multiply", "hgq.layers.QMultiply", "keras.src.ops.numpy.Multiply")
def multiply(call: LayerCall) -> Tensor:
    """Product; of a feature map and the mask of its own pixels: nothing is left to do."""
    masks = [value for value in call.inputs if isinstance(value, MaskValue)]
    maps = [value for value in call.inputs if isinstance(value, SparseValue)]
    if len(masks) == len(maps) == 1 and masks[0].coords == maps[0].coords and not hasattr(call.layer, "enable_iq"):
        return replace(maps[0], filled_by="")
    return _elementwise(call, "Mul")


def with_constant(call: LayerCall, op_type: str) -> Tensor:
    """A tensor and numbers. On pixels, numbers that give inactive ones a value must be masked away by what follows."""
    value = call.single()
    constant = to_numpy(next(argument for argument in call.args if argument is not value)).astype(np.float32)
    if isinstance(value, DenseValue) or any(n != 1 for n in constant.shape[:-1]):
        return convert(call, to_dense(call, value))[0]
    if not is_on_grid(constant):
        call.refuse(
            f"computes with {constant.flat[0]:g}, which is on no grid",
            allowed=f"numbers of at most {CONSTANT_BITS} bits, such as 0.75 or 1/8",
            fix="round it to a multiple of a power of two",
        )
    name = call.graph.constant(f"{call.name}.constant", constant.reshape(constant.shape[-1:]))

    def compute(source: Tensor, wanted: str) -> Tensor:
        names = [source.name if argument is value else name for argument in call.args]
        (result,) = call.graph.node(op_type, names, [wanted])
        return replace(source, name=result)

    zeros = [np.zeros(1, np.float32) if argument is value else constant for argument in call.args]
    if not _UFUNCS[op_type](*zeros).any():
        return call.chain(value, [("computed", compute)])
    result = call.chain(value, [("computed", compute), masking_step(call, "masked", value.channels)])
    assert isinstance(result, SparseValue)
    return replace(result, filled_by=call.name)


_UFUNCS: dict[str, Any] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Max": np.maximum,
    "Min": np.minimum,
}
"""What becomes of inactive pixels."""


def _scaled(call: LayerCall, factor: float) -> Step:
    constant = call.graph.constant(f"{call.name}.factor", np.array(factor, dtype=np.float32))
    return call.elementwise("scaled", "Mul", [constant])


@handler("keras.layers.Average")
def average(call: LayerCall) -> Tensor:
    """Mean: a sum, divided by the number of tensors."""
    number = len(call.inputs)
    if number & (number - 1) == 0:
        return _elementwise(call, "Add", [_scaled(call, 1 / number)])
    count = call.graph.constant(f"{call.name}.count", np.array(number, dtype=np.float32))
    return _elementwise(call, "Add", [call.elementwise("divided", "Div", [count])])


@handler("hgq.layers.QAveragePow2")
def average_power_of_two(call: LayerCall) -> Tensor:
    """Sum, scaled by the nearest power of two."""
    return _elementwise(call, "Add", [_scaled(call, call.layer._scale)])


@handler("keras.layers.Concatenate", "keras.src.ops.numpy.Concatenate")
def concatenate(call: LayerCall) -> Tensor:
    """Concatenation: of channels where the tensors are sparse, along any axis but the batch elsewhere."""
    operands = _operands(call)
    first, rank = operands[0], len(operands[0].shape) + 1
    axis = int(call.layer.axis) % rank
    names = [value.name for value in operands]
    if isinstance(first, SparseValue):
        call.require("axis", axis, [rank - 1], "only channels can be joined on the same pixels", "axis=-1")
        (result,) = call.graph.node("Concat", names, [call.name], axis=2)
        filled = next((v.filled_by for v in operands if isinstance(v, SparseValue) and v.filled_by), "")
        return SparseValue(result, first.coords, sum(value.shape[-1] for value in operands), filled)
    if axis == 0:
        call.refuse("axis=0: joins events", allowed="axis=1 and later", fix="axis=-1")
    (result,) = call.graph.node("Concat", names, [call.name], axis=axis)
    return DenseValue(result, call.output_shapes[0])
