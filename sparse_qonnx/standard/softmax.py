"""Softmax."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.grid import Array, NodeContext, NodeProof
from sparse_qonnx.hlscall import ConfigValue, HlsCall, HlsTable, sample_shape
from sparse_qonnx.standard._base import StandardOp

_FRACTION = 17  # bits behind the point of the tables and the result: an 18-bit word
_STEP_BITS = 12  # distances are rounded to about 2**-12
_RANGE = 12.0  # exp(-12) is below half a step of the tables
_INVERSE_BITS = 12  # entries of the reciprocal's table, as a power of two


class Softmax(StandardOp):
    """A floating-point head: its result lies on no grid."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        return NodeProof((None,))

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        """Tables of exp and of the reciprocal; the notes derive the largest error.

        exp(-d), d the distance to the largest logit rounded to a step u: off by at most e**(u/2) - 1, plus the
        rounding of the tables, plus e**-_RANGE where it is cut to 0: e. The sum of n of them, at least 1, is off by
        (n - 1) e, its reciprocal by half a table step s. A result is therefore off by at most n e + s / 2, plus its
        own truncation.
        """
        grid, (*rows, n) = node.grids[0], sample_shape(node.shapes[0])
        assert grid is not None
        if node.attributes.get("axis", -1) % len(node.shapes[0]) != len(node.shapes[0]) - 1:
            raise UnsupportedNodeError(node.where, f"axis is {node.attributes['axis']}", allowed="the last axis")
        drop = max(0, grid.frac + grid.divisor.bit_length() - 1 - _STEP_BITS)
        step = math.ldexp(1.0, drop - grid.frac) / grid.divisor
        entries = min(math.ceil(_RANGE / step), ((grid.highest - grid.lowest) >> drop) + 1) + 1
        fine = max(1, (entries - 1).bit_length() // 2)
        coarse_size = -(-entries >> fine) + 1
        coarse = _table(lambda t: math.exp(-t * step * (1 << fine)), coarse_size)
        span = (n - 1) << _FRACTION
        shift = max(0, span.bit_length() - _INVERSE_BITS)
        inverse = _table(lambda t: 1 / (1 + math.ldexp(t, shift - _FRACTION)), (span >> shift) + 2)
        ulp = 2.0**-_FRACTION
        each = (math.expm1(step / 2) if drop else 0.0) + 2 * ulp + math.exp(-_RANGE)
        error = n * each + (math.ldexp(0.5, shift - _FRACTION) if shift else 0.0) + 2 * ulp
        kind = FixedPointType(False, _FRACTION + 1, 1)
        config: dict[str, ConfigValue] = {"n_rows": math.prod(rows), "n_columns": n}
        config |= {"drop_bits": drop, "fine_bits": fine, "exp_t": kind}
        config |= {"coarse_size": coarse_size, "inverse_size": len(inverse), "inverse_shift": shift}
        return HlsCall(
            "softmax",
            config=config,
            tables=(
                HlsTable("exp_coarse", coarse, _FRACTION),
                HlsTable("exp_fine", _table(lambda t: math.exp(-t * step), 1 << fine), _FRACTION),
                HlsTable("inverse", inverse, _FRACTION),
            ),
            output_types={0: kind},
            tolerances={0: error},
            notes=(f"from tables: at most {error:.2g} off",),
        )


def _table(function: Callable[[int], float], size: int) -> Array:
    """`function(0 .. size - 1)` rounded to steps of 2**-_FRACTION."""
    return np.array([round(math.ldexp(function(t), _FRACTION)) for t in range(size)], dtype=object)
