"""Sparse convolutions and the mask that goes with them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.export.activations import activation_steps
from sparse_qonnx.export.call import LayerCall, Step
from sparse_qonnx.export.quantizers import fills, quantizer_steps, to_numpy
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import SparseValue, Tensor


def _check(call: LayerCall, conv: Any) -> None:
    """Refuse what leaves the pixels of the input."""
    call.require(
        "data_format", conv.data_format, ["channels_last"], "sparsepixels is channels last", "transpose the data"
    )
    call.require(
        "strides",
        tuple(conv.strides),
        [(1, 1)],
        "the output must live on the pixels of the input",
        "pool after the layer",
    )
    if tuple(conv.kernel_size) != (1, 1):
        call.require(
            "padding", conv.padding, ["same"], "the output must live on the pixels of the input", "padding='same'"
        )
    for quantizer, part in ((conv.enable_iq and conv.iq, "iq"), (conv.enable_oq and conv.oq, "oq")):
        if quantizer and fills(quantizer):
            call.refuse(
                f"quantizer {part!r} with affine={quantizer.affine!r} gives inactive pixels a value",
                allowed="affine=None",
                fix="remove the affine transformation",
            )


def _sparse_conv(call: LayerCall, part: str, weights: str, bias: str, **attributes: Any) -> Step:
    def emit(value: Tensor, name: str) -> Tensor:
        assert isinstance(value, SparseValue)
        inputs = [value.name, value.coords.name, weights, *([bias] if bias else [])]
        (result,) = call.graph.sparse("SparseConv", inputs, [name], **attributes)
        channels = call.graph.shape(result)[2]
        assert isinstance(channels, int)
        return SparseValue(result, value.coords, channels)

    return part, emit


def masking_step(call: LayerCall, part: str, channels: int, bias: str = "") -> Step:
    """A depthwise 1x1 SparseConv of ones: empty slots become 0; the bias is added where a feature is not 0."""
    ones = call.graph.quantized_constant(f"{call.name}.{part}.ones", np.ones((channels, 1, 1, 1), dtype=np.float32))
    return _sparse_conv(call, part, ones, bias, kernel_shape=[1, 1], group=channels)


def _bias(call: LayerCall) -> str:
    layer = call.layer
    if not layer._use_bias:
        return ""
    return call.graph.quantized_constant(f"{call.name}.bias", to_numpy(layer._bq(layer.sparse_bias)))


def _kernel(conv: Any) -> NDArray[Any]:
    """The quantized kernel `[kh, kw, C / groups, F]` in ONNX's order `[F, C / groups, kh, kw]`."""
    return to_numpy(conv.kq(conv._kernel)).transpose(3, 2, 0, 1)


@handler("sparsepixels.layers.QConv2DSparse")
def conv2d(call: LayerCall) -> Tensor:
    """QConv2DSparse: mask, input quantizer, sum, output quantizer, bias where the sum is not 0, activation, mask."""
    features, _ = call.sparse_pair()
    conv = call.layer.conv
    _check(call, conv)
    weights = call.graph.quantized_constant(f"{call.name}.kernel", _kernel(conv))
    bias = _bias(call)
    geometry = {
        "kernel_shape": list(conv.kernel_size),
        "dilations": list(conv.dilation_rate),
        "group": int(conv.groups),
    }
    steps: list[Step] = quantizer_steps(call, conv.iq, "iq", 3) if conv.enable_iq else []
    if conv.enable_oq:
        steps += [_sparse_conv(call, "sum", weights, "", **geometry), *quantizer_steps(call, conv.oq, "oq", 3)]
        if bias:
            steps.append(masking_step(call, "linear", conv.filters, bias))
    else:
        steps.append(_sparse_conv(call, "linear", weights, bias, **geometry))
    steps += activation_steps(call, call.layer._activation)
    return call.chain(SparseValue(features.name, features.coords, features.channels), steps)


@handler("sparsepixels.layers.RemoveDilatedPixels")
def remask(call: LayerCall) -> Tensor:
    """RemoveDilatedPixels: empty slots hold 0 already, so nothing is left to do."""
    features, _ = call.sparse_pair()
    return SparseValue(features.name, features.coords, features.channels)
