"""Clip between constants: relu6 and other bounded activations."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import Grid, NodeContext, NodeProof, common_grid
from sparse_qonnx.hlscall import ConfigValue, HlsAlias, HlsCall, Signed
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._unary import unary_call


class Clip(StandardOp):
    """Values outside [min, max] become the nearer limit."""

    moves = True

    operands = (Operand.ADDEND,)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        if grid is None:
            return NodeProof((None,))
        bits = grid.bits
        for limit, clipped in zip(node.grids[1:], (np.maximum, np.minimum), strict=False):
            if limit is not None:
                grid, bound = common_grid(grid, limit)
                grid = grid.with_limits(clipped(grid.lo, bound.lowest), clipped(grid.hi, bound.lowest))
                bits = max(bits, grid.bits, bound.bits)
        return NodeProof((grid,), bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall | HlsAlias:
        source, out = node.grids[0], proof.outputs[0]
        assert source is not None and out is not None
        limits = [None if limit is None else Grid.of_constant(np.ravel(limit)) for limit in node.constants[1:]]
        frac = max(source.frac, *(limit.frac for limit in limits if limit is not None), source.frac)
        values = source.at(frac).envelope()
        ends = [values.lowest, values.highest]
        for n, limit in enumerate(limits):
            if limit is not None:
                ends[n] = limit.at(frac, source.divisor).lowest
        if ends[0] <= values.lowest and ends[1] >= values.highest:
            return HlsAlias()
        lowest, highest = min(ends[0], ends[1]), ends[1]  # ONNX applies the upper limit last
        reach = np.array([values.lowest, values.highest, lowest, highest], dtype=object)
        config: dict[str, ConfigValue] = {
            "lowest": Signed(lowest),
            "highest": Signed(highest),
            "limit_t": Grid(reach, reach, frac),
        }
        return unary_call(node, "clip", **config)
