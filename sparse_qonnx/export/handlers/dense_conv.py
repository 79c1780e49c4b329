"""HGQ2's ordinary convolutions, for the part behind the sparse one."""

from __future__ import annotations

from typing import Any

from sparse_qonnx.export.activations import activation_steps
from sparse_qonnx.export.call import LayerCall, Step
from sparse_qonnx.export.quantizers import quantizer_steps, to_numpy
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import DenseValue, Tensor


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis, as Keras's "same" puts them: the odd one at the end."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _pads(call: LayerCall, spatial: tuple[int, ...]) -> list[int]:
    """ONNX's `pads`: all begins, then all ends."""
    layer = call.layer
    windows = [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
    if layer.padding == "causal":
        return [windows[0] - 1, 0]
    call.require("padding", layer.padding, ["same", "valid"], "is unknown", "padding='same'")
    if layer.padding == "valid":
        return [0] * (2 * len(spatial))
    pairs = [same_padding(*size) for size in zip(spatial, windows, layer.strides, strict=True)]
    return [before for before, _ in pairs] + [after for _, after in pairs]


def transpose_step(call: LayerCall, part: str, order: list[int]) -> Step:
    """A permutation of the axes, that of the events among them and first."""

    def emit(value: Tensor, name: str) -> Tensor:
        assert isinstance(value, DenseValue)
        (result,) = call.graph.node("Transpose", [value.name], [name], perm=order)
        return DenseValue(result, tuple(value.shape[axis - 1] for axis in order[1:]))

    return part, emit


@handler("hgq.layers.QConv1D", "hgq.layers.QConv2D", "hgq.layers.QConv3D")
def conv(call: LayerCall) -> Tensor:
    """QConv1D, QConv2D, QConv3D: channels last outside, channels first for ONNX's Conv."""
    value, layer = call.fixed(call.dense()), call.layer
    call.require(
        "data_format", layer.data_format, ["channels_last"], "only channels last are exported", "channels_last"
    )
    rank = len(value.shape)
    kernel = to_numpy(layer.qkernel)
    weights = call.graph.quantized_constant(f"{call.name}.kernel", kernel.transpose(rank, rank - 1, *range(rank - 1)))
    inputs = [weights]
    if layer.use_bias:
        inputs.append(call.graph.quantized_constant(f"{call.name}.bias", to_numpy(layer.qbias)))
    geometry: dict[str, Any] = {
        "kernel_shape": list(layer.kernel_size),
        "strides": list(layer.strides),
        "dilations": list(layer.dilation_rate),
        "group": int(layer.groups),
        "pads": _pads(call, value.shape[:-1]),
    }
    shape = call.output_shapes[0]

    def convolve(source: Tensor, name: str) -> Tensor:
        (result,) = call.graph.node("Conv", [source.name, *inputs], [name], **geometry)
        return DenseValue(result, (shape[-1], *shape[:-1]))

    steps: list[Step] = quantizer_steps(call, layer.iq, "iq", rank) if layer.enable_iq else []
    steps += [
        transpose_step(call, "channels_first", [0, rank, *range(1, rank)]),
        ("conv", convolve),
        transpose_step(call, "linear", [0, *range(2, rank + 1), 1]),
        *activation_steps(call, layer.activation),
    ]
    if layer.enable_oq:
        steps += quantizer_steps(call, layer.oq, "oq", rank)
    return call.chain(value, steps)
