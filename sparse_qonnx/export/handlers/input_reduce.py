"""The input reduction: where the sparse part begins."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparse_qonnx.export.call import LayerCall
from sparse_qonnx.export.handlers.shape import to_dense
from sparse_qonnx.export.quantizers import to_numpy
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import Coordinates, MaskValue, SparseValue


def budget(layer: Any) -> float:
    """The pixel budget that the forward pass of `sparsepixels.layers.InputReduce` compares ranks with.

    The product is formed and rounded half to even in the layer's own precision. The layer's `n_max_pixels` property
    rounds the float64 product instead, which can be another number.
    """
    kind = np.dtype(layer.compute_dtype).type
    n = kind(layer.n_init)
    return float(np.round(n * kind(to_numpy(layer.n_frac)) if layer.learn_n else n))


def threshold(layer: Any) -> float:
    """The float32 threshold for which `x > threshold` decides as the layer does, for every float32 x."""
    kind = np.dtype(layer.compute_dtype).type
    exact = kind(to_numpy(layer.threshold_w) if layer.learn_threshold else layer.threshold_init)
    single = np.float32(exact)
    return float(np.nextafter(single, np.float32(-np.inf)) if single > exact else single)


@handler("sparsepixels.layers.InputReduce")
def input_reduce(call: LayerCall) -> tuple[SparseValue, MaskValue]:
    """InputReduce: the only door into the sparse representation."""
    image = call.fixed(to_dense(call, call.single()))
    if len(image.shape) != 3:
        call.refuse(
            f"its input {image.name!r} has the shape {list(image.shape)} in each event",
            allowed="an image (H, W, C)",
            fix="put keras.layers.Reshape((H, W, C)) before it",
        )
    height, width, channels = image.shape
    n, limit = budget(call.layer), threshold(call.layer)
    if not n >= 1:
        source = "n_init * n_frac" if call.layer.learn_n else "n"
        call.refuse(
            f"the pixel budget {source} rounds to {n:g}",
            allowed="at least 1 pixel",
            fix="restore an earlier checkpoint",
        )
    if not np.isfinite(limit):
        call.refuse(f"threshold={limit!r}", allowed="a finite number", fix="restore an earlier checkpoint")
    slots = int(min(n, height * width))
    features, coords = call.graph.sparse(
        "InputReduce", [image.name], [call.name, f"{call.name}.coords"], n_max_pixels=slots, threshold=limit
    )
    where = Coordinates(coords, coords, height, width, slots)
    return SparseValue(features, where, channels), MaskValue(where)
