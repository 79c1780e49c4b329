"""Layers that only change the shape, where the sparse part ends, and layers that do nothing."""

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


@handler("keras.layers.Flatten", any_numbers=True)
def flatten(call: LayerCall) -> DenseValue:
    """Flatten, rows first, channels last."""
    value = to_dense(call, call.single())
    if len(value.shape) > 1:
        call.require("data_format", call.layer.data_format, ["channels_last"], "it would transpose", "data_format=None")
    (name,) = call.graph.node("Flatten", [value.name], [call.name], axis=1)
    return DenseValue(name, call.output_shapes[0], float_head=value.float_head)


@handler("keras.layers.Reshape", any_numbers=True)
def reshape(call: LayerCall) -> DenseValue:
    """Reshape of one sample."""
    value = to_dense(call, call.single())
    shape = call.output_shapes[0]
    target = call.graph.constant(f"{call.name}.shape", np.array([0, *shape], dtype=np.int64))
    (name,) = call.graph.node("Reshape", [value.name, target], [call.name])
    return DenseValue(name, shape, float_head=value.float_head)


@handler("keras.layers.Permute", any_numbers=True)
def permute(call: LayerCall) -> DenseValue:
    """Permute of the axes of one sample."""
    value = call.dense()
    (name,) = call.graph.node("Transpose", [value.name], [call.name], perm=[0, *call.layer.dims])
    return DenseValue(name, call.output_shapes[0], float_head=value.float_head)


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
    any_numbers=True,
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
