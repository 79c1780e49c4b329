"""Pooling and sums behind the sparse part."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparse_qonnx.export.call import LayerCall, Step
from sparse_qonnx.export.foreign import convert
from sparse_qonnx.export.handlers.dense_conv import same_padding, transpose_step
from sparse_qonnx.export.handlers.shape import to_dense
from sparse_qonnx.export.quantizers import quantizer_steps
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import DenseValue, Tensor


def _reduce(call: LayerCall, op_type: str, axes: list[int], keepdims: bool, shape: tuple[int, ...]) -> Step:
    """A reduction over sample axes, counted with the batch axis as 0."""
    names = call.graph.constant(f"{call.name}.axes", np.array(axes, dtype=np.int64))

    def emit(value: Tensor, name: str) -> Tensor:
        (result,) = call.graph.node(op_type, [value.name, names], [name], keepdims=int(keepdims))
        return DenseValue(result, shape)

    return op_type.lower(), emit


def _with_quantizers(call: LayerCall, value: DenseValue, steps: list[Step]) -> Tensor:
    """The steps between the input and output quantizers that HGQ2's layers have."""
    layer, shape = call.layer, call.output_shapes[0]
    before = quantizer_steps(call, layer.iq, "iq", len(value.shape)) if getattr(layer, "enable_iq", False) else []
    after = quantizer_steps(call, layer.oq, "oq", len(shape)) if getattr(layer, "enable_oq", False) else []
    return call.chain(value, [*before, *steps, *after])


def _global(call: LayerCall, op_type: str) -> Tensor:
    value = call.fixed(to_dense(call, call.single()))
    layer = call.layer
    call.require(
        "data_format", layer.data_format, ["channels_last"], "only channels last are exported", "channels_last"
    )
    axes = list(range(1, len(value.shape)))
    return _with_quantizers(call, value, [_reduce(call, op_type, axes, layer.keepdims, call.output_shapes[0])])


@handler(
    *(f"keras.layers.GlobalAveragePooling{n}D" for n in (1, 2, 3)),
    *(f"hgq.layers.QGlobalAveragePooling{n}D" for n in (1, 2, 3)),
)
def global_average(call: LayerCall) -> Tensor:
    """Mean over all pixels, inactive ones included."""
    return _global(call, "ReduceMean")


@handler(
    *(f"keras.layers.GlobalMaxPooling{n}D" for n in (1, 2, 3)),
    *(f"hgq.layers.QGlobalMaxPooling{n}D" for n in (1, 2, 3)),
)
def global_maximum(call: LayerCall) -> Tensor:
    """Maximum over all pixels, inactive ones included."""
    return _global(call, "ReduceMax")


def _windows(call: LayerCall, op_type: str) -> Tensor:
    """Pooling by whole windows: the image cut into windows, and a reduction over them.

    Rows and columns of a partial window at the end are left out first.
    """
    value, layer = call.fixed(call.dense()), call.layer
    size, spatial = tuple(layer.pool_size), value.shape[:-1]
    partial = any(n % s for n, s in zip(spatial, size, strict=True))
    whole = tuple(layer.strides) == size and not (partial and layer.padding == "same")
    if op_type == "ReduceMean" and not whole and layer.data_format == "channels_last":
        return _any_windows(call, value)
    if not whole or layer.data_format != "channels_last":
        if not hasattr(layer, "enable_iq"):
            return convert(call)[0]
        call.refuse(
            f"pool_size={size!r}, strides={tuple(layer.strides)!r}, padding={layer.padding!r}, "
            f"data_format={layer.data_format!r} on {spatial!r}",
            allowed="whole windows side by side: strides=None, padding='valid', channels last",
            fix="choose strides=None and padding='valid'",
        )
    cut = [part for n, s in zip(spatial, size, strict=True) for part in (n // s, s)]
    target = call.graph.constant(f"{call.name}.windows", np.array([0, *cut, value.shape[-1]], dtype=np.int64))

    def split(source: Tensor, name: str) -> Tensor:
        (result,) = call.graph.node("Reshape", [source.name, target], [name])
        return DenseValue(result, (*cut, source.shape[-1]))

    axes = [2 * n + 2 for n in range(len(spatial))]
    steps = [_without_rest(call, tuple(n - n % s for n, s in zip(spatial, size, strict=True)))] if partial else []
    steps += [("cut", split), _reduce(call, op_type, axes, False, call.output_shapes[0])]
    return _with_quantizers(call, value, steps)


def _any_windows(call: LayerCall, value: DenseValue) -> Tensor:
    """The average of windows that overlap, leave gaps, or reach over the edge, where they hold fewer values."""
    layer, spatial, rank = call.layer, value.shape[:-1], len(value.shape)
    shape = call.output_shapes[0]
    pairs = [(0, 0)] * len(spatial)
    if layer.padding == "same":
        pairs = [same_padding(*each) for each in zip(spatial, layer.pool_size, layer.strides, strict=True)]
    geometry: dict[str, Any] = {
        "kernel_shape": list(layer.pool_size),
        "strides": list(layer.strides),
        "pads": [before for before, _ in pairs] + [after for _, after in pairs],
    }

    def pool(source: Tensor, name: str) -> Tensor:
        (result,) = call.graph.node("AveragePool", [source.name], [name], **geometry)
        return DenseValue(result, (shape[-1], *shape[:-1]))

    steps = [
        transpose_step(call, "channels_first", [0, rank, *range(1, rank)]),
        ("average", pool),
        transpose_step(call, "channels_last", [0, *range(2, rank + 1), 1]),
    ]
    return _with_quantizers(call, value, steps)


def _without_rest(call: LayerCall, kept: tuple[int, ...]) -> Step:
    """The first `kept` rows and columns."""
    axes = range(1, len(kept) + 1)
    bounds = {"starts": [0] * len(kept), "ends": kept, "kept_axes": axes}
    names = [call.graph.constant(f"{call.name}.{k}", np.array(v, dtype=np.int64)) for k, v in bounds.items()]

    def emit(value: Tensor, name: str) -> Tensor:
        (result,) = call.graph.node("Slice", [value.name, *names], [name])
        return DenseValue(result, (*kept, value.shape[-1]))

    return "whole", emit


@handler(
    *(f"keras.layers.AveragePooling{n}D" for n in (1, 2, 3)), *(f"hgq.layers.QAveragePooling{n}D" for n in (1, 2, 3))
)
def average(call: LayerCall) -> Tensor:
    """Average pooling of a dense tensor."""
    return _windows(call, "ReduceMean")


@handler(*(f"keras.layers.MaxPooling{n}D" for n in (1, 2, 3)), *(f"hgq.layers.QMaxPooling{n}D" for n in (1, 2, 3)))
def maximum(call: LayerCall) -> Tensor:
    """Maximum pooling of a dense tensor."""
    return _windows(call, "ReduceMax")


@handler("hgq.layers.QSum", "hgq.layers.QMeanPow2")
def total(call: LayerCall) -> Tensor:
    """QSum and QMeanPow2: a sum over axes, scaled by a power of two."""
    value, layer = call.fixed(to_dense(call, call.single())), call.layer
    axes = [axis % (len(value.shape) + 1) for axis in layer.axes]
    if 0 in axes:
        call.refuse("axes=0 sums events", allowed="axes=1 and later", fix="axes=-1")
    steps = [_reduce(call, "ReduceSum", axes, layer.keepdims, call.output_shapes[0])]
    if layer.scale != 1:
        factor = call.graph.constant(f"{call.name}.factor", np.array(layer.scale, dtype=np.float32))
        steps.append(call.elementwise("scaled", "Mul", [factor]))
    return _with_quantizers(call, value, steps)
