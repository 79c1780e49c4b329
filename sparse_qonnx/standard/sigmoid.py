"""Sigmoid."""

from __future__ import annotations

import math

import numpy as np

from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall, HlsTable, sample_shape
from sparse_qonnx.standard._base import StandardOp

_FRACTION = 17  # bits behind the point of the table and the result: an 18-bit word
_STEP_BITS = 8  # |x| is rounded to about 2**-8
_RANGE = 12.0  # beyond, the last entry stands


class Sigmoid(StandardOp):
    """A floating-point head: its result lies on no grid."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        return NodeProof((None,))

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        """A table over |x|; its largest error is half a step times the slope 1/4, rounding, and the cut at _RANGE."""
        grid = node.grids[0]
        assert grid is not None
        shift = max(0, grid.frac + grid.divisor.bit_length() - 1 - _STEP_BITS)
        step = math.ldexp(1.0, shift - grid.frac) / grid.divisor
        size = min(math.ceil(_RANGE / step), max(grid.highest, -grid.lowest) >> shift) + 2
        values = [round(math.ldexp(1 / (1 + math.exp(-t * step)), _FRACTION)) for t in range(size)]
        error = (step / 8 if shift else 0.0) + 2.0**-_FRACTION + math.exp(-_RANGE)
        return HlsCall(
            "sigmoid",
            config={"n_values": math.prod(sample_shape(node.shapes[0])), "table_size": size, "index_shift": shift},
            tables=(HlsTable("values", np.array(values, dtype=object), _FRACTION),),
            output_types={0: FixedPointType(False, _FRACTION + 1, 1)},
            tolerances={0: error},
            notes=(f"from a table: at most {error:.2g} off",),
        )
