"""MaxPool: windows that overlap, reach over the edge, or leave gaps."""

from __future__ import annotations

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.standard._base import StandardOp


class MaxPool(StandardOp):
    """The largest value of each window `[B, C, ...]`; what lies beyond the edge is never it."""

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
