"""Sign."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.grid import Grid, NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._truth import refuse_firmware


class Sign(StandardOp):
    """-1, 0 or 1."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        if grid is None:
            return NodeProof((None,))
        return NodeProof((Grid(np.sign(grid.lo), np.sign(grid.hi), 0),), grid.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        refuse_firmware(node)
