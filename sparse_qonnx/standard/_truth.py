"""What operators whose results are true or false have in common."""

from __future__ import annotations

from typing import NoReturn

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import Grid, NodeContext, NodeProof, common_grid
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.integers import integers
from sparse_qonnx.standard._base import StandardOp


class Truth(StandardOp):
    """0 or 1, known wherever the inputs are: numbers on grids, none of which is a quotient that was rounded."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grids = [grid for grid in node.grids if grid is not None and grid.divisor == 1 and not grid.rounded]
        if len(grids) != len(node.grids):
            return NodeProof((None,))
        shape = (1,) * (len(node.output_shapes[0]) - 1)
        result = Grid(integers(0).reshape(shape), integers(1).reshape(shape), 0)
        first, *others = grids
        bits = max((g.bits for other in others for g in common_grid(first, other)), default=first.bits)
        return NodeProof((result,), bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        refuse_firmware(node)


def refuse_firmware(node: NodeContext) -> NoReturn:
    """Raise UnsupportedNodeError: the operator is exact in a file and has no kernel."""
    raise UnsupportedNodeError(
        node.where, "is not supported in firmware", fix="end the exported model before it, or replace the layer"
    )
