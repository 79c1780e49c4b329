"""Functions of `keras.ops` of one tensor, value by value, that keep zeros: on pixels and on dense tensors alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from sparse_qonnx.export.activations import activation_steps, relu_steps
from sparse_qonnx.export.call import LayerCall
from sparse_qonnx.export.foreign import convert, is_on_grid
from sparse_qonnx.export.handlers.shape import to_dense
from sparse_qonnx.export.quantizers import to_numpy
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import SparseValue, Tensor, renamed


def _unary(call: LayerCall, op_type: str, constants: Sequence[str] = ()) -> Tensor:
    return call.chain(call.single(), [call.elementwise(op_type.lower(), op_type, constants)])


@handler("keras.src.ops.numpy.Absolute", "keras.src.ops.numpy.Abs", "keras.src.ops.numpy.Fabs", any_numbers=True)
def absolute(call: LayerCall) -> Tensor:
    """|x|."""
    return _unary(call, "Abs")


@handler("keras.src.ops.numpy.Negative", any_numbers=True)
def negative(call: LayerCall) -> Tensor:
    """-x."""
    return _unary(call, "Neg")


@handler("keras.src.ops.numpy.Square", any_numbers=True)
def square(call: LayerCall) -> Tensor:
    """x * x."""

    def emit(value: Tensor, name: str) -> Tensor:
        (result,) = call.graph.node("Mul", [value.name, value.name], [name])
        return renamed(value, result)

    return call.chain(call.single(), [("square", emit)])


@handler("keras.src.ops.numpy.Clip", any_numbers=True)
def clip(call: LayerCall) -> Tensor:
    """Limits that are numbers on a grid; on pixels around 0, else on the image."""
    value, limits = call.single(), (call.layer.x_min, call.layer.x_max)
    if not all(isinstance(limit, (int, float)) for limit in limits) or not is_on_grid(limits):
        return convert(call)[0]
    if isinstance(value, SparseValue) and not limits[0] <= 0 <= limits[1]:
        value = to_dense(call, value)
    names = [
        call.graph.constant(f"{call.name}.{part}", np.array(limit, dtype=np.float32))
        for part, limit in zip(("lowest", "highest"), limits, strict=True)
    ]
    return call.chain(value, [call.elementwise("clip", "Clip", names)])


@handler(*(f"keras.src.ops.nn.{name}" for name in ("Relu", "Relu6", "HardTanh")), any_numbers=True)
def activation(call: LayerCall) -> Tensor:
    """The functions that layers have as their activation."""
    import keras

    names = {"Relu": "relu", "Relu6": "relu6", "HardTanh": "hard_tanh"}
    function = getattr(keras.activations, names[type(call.layer).__name__])
    return call.chain(call.single(), activation_steps(call, function))


@handler("keras.src.ops.nn.LeakyRelu", any_numbers=True)
def leaky_relu(call: LayerCall) -> Tensor:
    """LeakyReLU with a slope that is a power of two."""
    return call.chain(call.single(), relu_steps(call, float(call.layer.negative_slope), None, 0.0))


@handler("keras.layers.Rescaling", any_numbers=True)
def rescaling(call: LayerCall) -> Tensor:
    """scale * x + offset; on pixels without an offset, else on the image."""
    value = call.single()
    parts = {"Mul": (to_numpy(call.layer.scale), 1), "Add": (to_numpy(call.layer.offset), 0)}
    used = {op_type: numbers for op_type, (numbers, nothing) in parts.items() if (numbers != nothing).any()}
    if isinstance(value, SparseValue) and ("Add" in used or any(n.ndim > 1 for n in used.values())):
        value = to_dense(call, value)
    if not all(map(is_on_grid, used.values())):
        return convert(call, to_dense(call, value))[0]
    steps = []
    for op_type, numbers in used.items():
        constant = call.graph.constant(f"{call.name}.{op_type.lower()}", numbers.astype(np.float32))
        steps.append(call.elementwise({"Mul": "scaled", "Add": "shifted"}[op_type], op_type, [constant]))
    return call.chain(value, steps)


@handler("keras.src.ops.core.Cast", any_numbers=True, any_types=True)
def cast(call: LayerCall) -> Tensor:
    """Nothing between floating-point types; integers are int64, as ONNX has them."""
    value, wanted = call.single(), str(call.layer.dtype)
    if isinstance(value, SparseValue):
        value = value if wanted.startswith("float") else to_dense(call, value)
    kinds = {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "u": TensorProto.INT64, "b": TensorProto.BOOL}
    kind = kinds[wanted[0]]
    if call.graph.elem_type(value.name) == kind:
        return value
    return call.chain(value, [call.elementwise("cast", "Cast", to=kind)])
