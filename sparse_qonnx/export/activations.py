"""Activation functions: standard nodes where they are exact on fixed-point numbers, float heads, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from sparse_qonnx.export.call import LayerCall, Step
from sparse_qonnx.export.values import DenseValue, Tensor, renamed

ALLOWED = "linear, relu, relu6, hard_tanh, leaky_relu with a power-of-two slope; softmax and sigmoid as last layers"
FIX = "use relu, or an exact fixed-point table (hgq QUnaryFunctionLUT) after the sparse part"


def _clip(call: LayerCall, low: float, high: float) -> Step:
    bounds = [
        call.graph.constant(f"{call.name}.{kind}", np.array(v, dtype=np.float32))
        for kind, v in (("min_value", low), ("max_value", high))
    ]
    return call.elementwise("clip", "Clip", bounds)


def relu_steps(call: LayerCall, negative_slope: float, max_value: float | None, threshold: float) -> list[Step]:
    """`keras.layers.ReLU` with all its arguments.

    Raises:
        UnsupportedLayerError: for combinations that are not exact on a grid or not 0 at 0.
    """
    if not np.isfinite(threshold) or (max_value is not None and not np.isfinite(max_value)):
        call.refuse(f"threshold={threshold!r}, max_value={max_value!r}", allowed="finite numbers")
    if negative_slope:
        return _leaky(call, negative_slope, max_value, threshold)
    if threshold:
        steps = [call.elementwise("thresholded", "ThresholdedRelu", alpha=_float32(call, "threshold", threshold))]
        return steps if max_value is None else [*steps, _clip(call, 0.0, _float32(call, "max_value", max_value))]
    if max_value is not None:
        return [_clip(call, 0.0, _float32(call, "max_value", max_value))]
    return [call.elementwise("relu", "Relu")]


def _float32(call: LayerCall, attribute: str, value: float) -> float:
    if float(np.float32(value)) != value:
        call.refuse(
            f"{attribute}={value!r} is rounded differently in float32 and float64",
            allowed="numbers float32 holds exactly",
            fix=f"use {float(np.float32(value))!r}",
        )
    return value


def _leaky(call: LayerCall, slope: float, max_value: float | None, threshold: float) -> list[Step]:
    if max_value is not None or threshold:
        call.refuse(
            f"negative_slope={slope!r} together with max_value={max_value!r}, threshold={threshold!r}",
            allowed="negative_slope alone",
            fix="split it into two layers",
        )
    if np.frexp(slope)[0] != 0.5:
        call.refuse(
            f"negative_slope={slope!r} takes negative values off the fixed-point grid",
            allowed="powers of two, such as 0.25 or 0.125",
            fix="train with negative_slope=0.25",
        )
    constant = call.graph.constant(f"{call.name}.slope", np.array(slope, dtype=np.float32))

    def larger(value: Tensor, name: str) -> Tensor:
        """Max(x, slope * x): onnxruntime has LeakyRelu in float32 only."""
        (scaled,) = call.graph.node("Mul", [value.name, constant], [f"{call.name}.scaled"])
        (result,) = call.graph.node("Max" if slope <= 1 else "Min", [value.name, scaled], [name])
        return renamed(value, result)

    return [("leaky_relu", larger)]


def _head(op_type: str, **attributes: Any) -> Callable[[LayerCall], list[Step]]:
    def steps(call: LayerCall) -> list[Step]:
        part, emit = call.elementwise(op_type.lower(), op_type, **attributes)

        def emit_head(value: Tensor, name: str) -> Tensor:
            if not isinstance(value, DenseValue):
                call.refuse(
                    f"{op_type.lower()!r} on the sparse feature map {value.name!r} gives inactive pixels a value",
                    allowed=ALLOWED,
                    fix=FIX,
                )
            result = emit(value, name)
            assert isinstance(result, DenseValue)
            return replace(result, float_head=call.name)

        return [(part, emit_head)]

    return steps


_STEPS: dict[str, Callable[[LayerCall], list[Step]]] = {
    "linear": lambda _: [],
    "relu": lambda call: relu_steps(call, 0.0, None, 0.0),
    "relu6": lambda call: relu_steps(call, 0.0, 6.0, 0.0),
    "hard_tanh": lambda call: [_clip(call, -1.0, 1.0)],
    "softmax": _head("Softmax", axis=-1),
    "sigmoid": _head("Sigmoid"),
}


def is_exact(function: Any) -> bool:
    """Whether `activation_steps` knows an activation function."""
    import keras

    name = getattr(function, "__name__", "")
    return function is None or (name in _STEPS and function is getattr(keras.activations, name, None))


def activation_steps(call: LayerCall, function: Any) -> list[Step]:
    """The nodes of an activation function given as `activation=`.

    Args:
        call: the layer that owns it.
        function: a function of `keras.activations`, or None.

    Raises:
        UnsupportedLayerError: naming the function where it is not exact, or not Keras's own.
    """
    if function is None:
        return []
    name = getattr(function, "__name__", type(function).__name__)
    if not is_exact(function):
        call.refuse(f"activation={name!r} is not exact on fixed-point numbers", allowed=ALLOWED, fix=FIX)
    return _STEPS[name](call)
