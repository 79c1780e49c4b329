"""Concat along any axis of a sample."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from onnx import NodeProto

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import Array, Grid, NodeContext, NodeProof, common_grid
from sparse_qonnx.hlscall import HlsCall, factor, sample_shape
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._moves import unchanged


class Concat(StandardOp):
    """Tensors side by side along a sample axis."""

    operands = (Operand.ADDEND,)

    @classmethod
    def passed_on(cls, node: NodeProto, constants: Mapping[str, Array]) -> dict[str, int]:
        return unchanged(node)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        rank = len(node.output_shapes[0])
        axis = node.attributes.get("axis", -1) % max(rank, 1)
        grids = [g for g in node.grids if g is not None]
        if axis == 0 or len(grids) != len(node.grids) or any(c is not None for c in node.constants):
            return NodeProof((None,))
        common = grids[0]
        for grid in grids[1:]:
            common = common_grid(common, grid)[0]
        parts = [common_grid(grid, common)[0] for grid in grids]
        lengths = [sample_shape(shape)[axis - 1] for shape in node.shapes]
        lo, hi = (_join([getattr(p, side) for p in parts], lengths, axis - 1) for side in ("lo", "hi"))
        out = Grid(lo, hi, parts[0].frac, parts[0].divisor, any(p.rounded for p in parts))
        return NodeProof((out,), out.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        out, grids = proof.outputs[0], [g for g in node.grids if g is not None]
        if len(grids) != 2 or out is None or any(c is not None for c in node.constants):
            raise UnsupportedNodeError(
                node.where,
                f"concatenates {len(node.shapes)} tensors",
                allowed="2 tensors, neither constant",
                fix="nest them",
            )
        shapes = [sample_shape(shape) for shape in node.shapes]
        axis = node.attributes.get("axis", -1) % (len(shapes[0]) + 1) - 1
        columns = [math.prod(shape[axis:]) for shape in shapes]
        factors = [out.divisor // g.divisor for g in grids]
        config = {"n_rows": math.prod(shapes[0][:axis]), "a_columns": columns[0], "b_columns": columns[1]}
        return HlsCall("concat", (0, 1), {**config, **factor("a", factors[0]), **factor("b", factors[1])})


def _join(limits: list[Array], lengths: list[int], axis: int) -> Array:
    """Limits side by side, broadcast where they are held for several elements at once."""
    rank = max(a.ndim for a in limits)
    limits = [a.reshape((1,) * (rank - a.ndim) + a.shape) for a in limits]
    shape = list(np.broadcast_shapes(*((*a.shape[:axis], 1, *a.shape[axis + 1 :]) for a in limits)))
    parts = []
    for limit, length in zip(limits, lengths, strict=True):
        shape[axis] = length
        parts.append(np.broadcast_to(limit, shape))
    return np.concatenate(parts, axis=axis)
