"""Sparse pooling: average and maximum over whole windows."""

from __future__ import annotations

from typing import Any

from sparse_qonnx.export.call import LayerCall
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import MaskValue, SparseValue


def _check(call: LayerCall, pool: Any, size: tuple[int, int], spatial: tuple[int, int]) -> None:
    call.require(
        "data_format", pool.data_format, ["channels_last"], "sparsepixels is channels last", "transpose the data"
    )
    call.require("strides", tuple(pool.strides), [size], "windows must neither overlap nor leave gaps", "strides=None")
    divides = all(n % s == 0 for n, s in zip(spatial, size, strict=True))
    if not divides:  # where the windows divide the image, "same" pads nothing
        call.require("padding", pool.padding, ["valid"], "windows would reach over the edge", "padding='valid'")


def _pool(call: LayerCall, pool: Any, mode: str) -> tuple[SparseValue, MaskValue]:
    features, coords = call.sparse_pair()
    call.unfilled(features)
    size = (int(pool.pool_size[0]), int(pool.pool_size[1]))
    spatial = (coords.height, coords.width)
    _check(call, pool, size, spatial)
    name, where = call.graph.sparse(
        "SparsePool",
        [features.name, coords.name],
        [call.name, f"{call.name}.coords"],
        mode=mode,
        kernel_shape=list(size),
        spatial_shape=list(spatial),
    )
    pooled = coords.pooled(where, size)
    return SparseValue(name, pooled, features.channels), MaskValue(pooled)


@handler("sparsepixels.layers.AveragePooling2DSparse")
def average(call: LayerCall) -> tuple[SparseValue, MaskValue]:
    """AveragePooling2DSparse."""
    return _pool(call, call.layer.avg_pool, "average")


@handler("sparsepixels.layers.MaxPooling2DSparse")
def maximum(call: LayerCall) -> tuple[SparseValue, MaskValue]:
    """MaxPooling2DSparse."""
    return _pool(call, call.layer.max_pool, "max")
