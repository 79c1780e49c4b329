"""ArgMax."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import Grid, NodeContext, NodeProof
from sparse_qonnx.hlscall import ConfigValue, HlsCall, Symbol, sample_shape, strides_of, view
from sparse_qonnx.standard._base import StandardOp


class ArgMax(StandardOp):
    """The place of the largest value along an axis, the first one of equal ones: an integer."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        return place_proof(node)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        return place_call(node, "MAX")


def place_proof(node: NodeContext) -> NodeProof:
    """Places reach from 0 to the last one of the axis."""
    grid, rank = node.grids[0], len(node.shapes[0])
    axis = int(node.attributes.get("axis", 0)) % max(rank, 1)
    last = node.shapes[0][axis] if rank else None
    if grid is None or axis == 0 or not isinstance(last, int):
        return NodeProof((None,))
    shape = (1,) * (len(node.output_shapes[0]) - 1)
    lo, hi = (np.full(shape, end, dtype=object) for end in (0, max(last - 1, 0)))
    return NodeProof((Grid(lo, hi, 0),), grid.bits)


def place_call(node: NodeContext, mode: str) -> HlsCall:
    """The kernel call for the place of the largest or smallest value."""
    shape = sample_shape(node.shapes[0])
    axis, strides = int(node.attributes.get("axis", 0)) % (len(shape) + 1) - 1, strides_of(shape)
    kept = [n for n in range(len(shape)) if n != axis]
    views = [view(node.where, [shape[a] for a in part], [strides[a] for a in part]) for part in (kept, [axis])]
    config: dict[str, ConfigValue] = {"mode": Symbol("pooling", mode), "n_terms": shape[axis]}
    config |= {"is_last": bool(node.attributes.get("select_last_index", 0))}
    return HlsCall(
        "reduce", config={**config, "kept_view": views[0], "reduced_view": views[1]}, function="reduce_to_place"
    )
