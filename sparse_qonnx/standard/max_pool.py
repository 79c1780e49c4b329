"""MaxPool: windows that overlap, reach over the edge, or leave gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import Array, NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp


class MaxPool(StandardOp):
    """The largest value of each window `[B, C, ...]`; what lies beyond the edge is never it."""

    operands = (Operand.FACTOR,)

    @classmethod
    def compute(cls, x: Array, **attributes: Any) -> Array:
        """The definition in NumPy; onnx's own places `pads` that differ between the sides wrongly."""
        kernel, rank = attributes["kernel_shape"], x.ndim - 2
        strides, dilations = (attributes.get(name) or [1] * rank for name in ("strides", "dilations"))
        reaches = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        padded = np.pad(x, [(0, 0), (0, 0), *_pads(x.shape[2:], reaches, strides, attributes)], constant_values=-np.inf)
        seen = np.lib.stride_tricks.sliding_window_view(padded, reaches, axis=tuple(range(2, x.ndim)))
        steps = [slice(None, None, step) for step in (*strides, *dilations)]
        result: Array = seen[:, :, *steps].max(axis=tuple(range(-rank, 0)))
        return result

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        if grid is None:
            return NodeProof((None,) * len(node.output_shapes))
        axes = tuple(range(1, grid.lo.ndim))  # one interval a channel
        lo, hi = grid.lo.min(axis=axes, keepdims=True), grid.hi.max(axis=axes, keepdims=True)
        return NodeProof((grid.with_limits(lo, hi), *(None,) * (len(node.output_shapes) - 1)), grid.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        raise UnsupportedNodeError(
            node.where,
            f"with windows {node.attributes.get('kernel_shape')}, strides {node.attributes.get('strides')} "
            "is not supported in firmware",
            allowed="windows side by side: strides as large as the windows, nothing beyond the edge",
            fix="pool with strides=None, padding='valid'",
        )


def _pads(
    sizes: Sequence[int], reaches: Sequence[int], strides: Sequence[int], attributes: Mapping[str, Any]
) -> list[tuple[int, int]]:
    """What lies before and after each axis; after it also what the last windows reach for."""
    how, given = attributes.get("auto_pad", "NOTSET"), attributes.get("pads") or [0] * (2 * len(sizes))
    found = []
    for axis, (size, reach, stride) in enumerate(zip(sizes, reaches, strides, strict=True)):
        if how in ("SAME_UPPER", "SAME_LOWER"):
            total = max((-(-size // stride) - 1) * stride + reach - size, 0)
            less, more = total // 2, total - total // 2
            found.append((less, more) if how == "SAME_UPPER" else (more, less))
            continue
        before, after = (0, 0) if how == "VALID" else (given[axis], given[axis + len(sizes)])
        if attributes.get("ceil_mode"):
            last = -(-(size + before + after - reach) // stride) * stride  # where the last window begins
            last -= stride if last >= size + before else 0
            after = max(last + reach - size - before, after)
        found.append((before, after))
    return found
