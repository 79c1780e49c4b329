"""Layers that only change the shape, and global pooling: where the sparse part ends."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.export.call import LayerCall
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import DenseValue, Tensor, Value


def to_dense(call: LayerCall, value: Tensor, name: str = "") -> DenseValue:
    """The image `[B, H, W, C]` of a sparse feature map; dense values as they are."""
    if isinstance(value, DenseValue):
        return value
    call.unfilled(value)
    spatial = [value.coords.height, value.coords.width]
    (dense,) = call.graph.sparse(
        "SparseToDense", [value.name, value.coords.name], [name or f"{call.name}.dense"], spatial_shape=spatial
    )
    return DenseValue(dense, value.shape)


@handler("keras.layers.Flatten")
def flatten(call: LayerCall) -> DenseValue:
    """Flatten, rows first, channels last."""
    value = to_dense(call, call.single())
    if len(value.shape) > 1:
        call.require("data_format", call.layer.data_format, ["channels_last"], "it would transpose", "data_format=None")
    (name,) = call.graph.node("Flatten", [value.name], [call.name], axis=1)
    return DenseValue(name, call.output_shapes[0], float_head=value.float_head)


@handler("keras.layers.Reshape")
def reshape(call: LayerCall) -> DenseValue:
    """Reshape of one sample."""
    value = to_dense(call, call.single())
    shape = call.output_shapes[0]
    target = call.graph.constant(f"{call.name}.shape", np.array([0, *shape], dtype=np.int64))
    (name,) = call.graph.node("Reshape", [value.name, target], [call.name])
    return DenseValue(name, shape, float_head=value.float_head)


def _global_pool(call: LayerCall, op_type: str) -> DenseValue:
    value = call.fixed(to_dense(call, call.single()))
    call.require("data_format", call.layer.data_format, ["channels_last"], "sparsepixels is channels last", "transpose")
    axes = call.graph.constant(f"{call.name}.axes", np.array([1, 2], dtype=np.int64))
    keepdims = int(call.layer.keepdims)
    (name,) = call.graph.node(op_type, [value.name, axes], [call.name], keepdims=keepdims)
    return DenseValue(name, call.output_shapes[0])


@handler("keras.layers.GlobalAveragePooling2D")
def global_average(call: LayerCall) -> DenseValue:
    """GlobalAveragePooling2D over all pixels, inactive ones included."""
    return _global_pool(call, "ReduceMean")


@handler("keras.layers.GlobalMaxPooling2D")
def global_maximum(call: LayerCall) -> DenseValue:
    """GlobalMaxPooling2D over all pixels, inactive ones included."""
    return _global_pool(call, "ReduceMax")


@handler(
    "keras.layers.Dropout",
    "keras.layers.SpatialDropout1D",
    "keras.layers.SpatialDropout2D",
    "keras.layers.SpatialDropout3D",
    "keras.layers.AlphaDropout",
    "keras.layers.GaussianDropout",
    "keras.layers.GaussianNoise",
    "keras.layers.ActivityRegularization",
    "keras.layers.Identity",
)
def nothing(call: LayerCall) -> Value:
    """Layers that do nothing at inference."""
    if call.kwargs.get("training"):
        call.refuse(
            "is called with training=True and so is random at inference",
            allowed="training=None",
            fix="remove the argument",
        )
    (value,) = call.inputs
    return value
