"""Floor."""

from __future__ import annotations

from sparse_qonnx.grid import Grid, NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard._truth import refuse_firmware


class Floor(StandardOp):
    """The next integer below."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        if grid is None or grid.divisor != 1:
            return NodeProof((None,))
        step = 1 << max(grid.frac, 0)
        return NodeProof((Grid(grid.lo // step, grid.hi // step, min(grid.frac, 0)),), grid.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        refuse_firmware(node)
