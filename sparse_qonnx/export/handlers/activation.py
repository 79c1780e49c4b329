"""Activations standing alone, and standalone quantizers."""

from __future__ import annotations

from dataclasses import replace

from sparse_qonnx.export.activations import activation_steps, is_exact, relu_steps
from sparse_qonnx.export.call import LayerCall
from sparse_qonnx.export.foreign import convert
from sparse_qonnx.export.handlers.sparse_conv import masking_step
from sparse_qonnx.export.quantizers import fills, quantizer_steps
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import DenseValue, SparseValue, Tensor


@handler("keras.layers.ReLU", any_numbers=True)
def relu(call: LayerCall) -> Tensor:
    """ReLU with max_value, negative_slope and threshold."""
    layer = call.layer
    slope, limit = float(layer.negative_slope or 0.0), layer.max_value
    steps = relu_steps(call, slope, None if limit is None else float(limit), float(layer.threshold or 0.0))
    return call.chain(call.single(), steps)


@handler("keras.layers.LeakyReLU", any_numbers=True)
def leaky_relu(call: LayerCall) -> Tensor:
    """LeakyReLU."""
    return call.chain(call.single(), relu_steps(call, float(call.layer.negative_slope), None, 0.0))


@handler("keras.layers.Activation", any_numbers=True)
def activation(call: LayerCall) -> Tensor:
    """Activation(name); behind the sparse part also those that are not exact, in floating point."""
    value, function = call.single(), call.layer.activation
    if isinstance(value, DenseValue) and not is_exact(function):
        return convert(call)[0]
    return call.chain(value, activation_steps(call, function))


@handler("keras.layers.Softmax", any_numbers=True)
def softmax(call: LayerCall) -> Tensor:
    """Softmax over the last axis; over others as TensorFlow has it."""
    import keras

    value = call.dense()
    if call.layer.axis not in (-1, len(value.shape)) or len(call.inputs) != 1:
        return convert(call)[0]
    return call.chain(value, activation_steps(call, keras.activations.softmax))


@handler("hgq.quantizer.Quantizer")
def quantizer(call: LayerCall) -> Tensor:
    """A standalone Quantizer; an input image stays one, so that InputReduce may follow."""
    value = call.single()
    if isinstance(value, DenseValue):
        return call.chain(call.fixed(value), quantizer_steps(call, call.layer, "quantizer", len(value.shape)))
    steps = quantizer_steps(call, call.layer, "quantizer", 3)
    if not fills(call.layer):
        return call.chain(value, steps)
    steps.append(masking_step(call, "masked", value.channels))
    result = call.chain(value, steps)
    assert isinstance(result, SparseValue)
    return replace(result, filled_by=call.name)
