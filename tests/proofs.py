"""What the tests of proofs share: operators proven by themselves, integers as limits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx import quantized
from sparse_qonnx.fixed import OverflowMode, RoundingMode
from sparse_qonnx.grid import Grid, NodeContext, NodeProof
from sparse_qonnx.ops import operators

Array = NDArray[Any]


def integers(*values: int) -> Array:
    return np.array(values, dtype=object)


def prove(op: str, shapes: Any, grids: Any, constants: Any = None, **attributes: Any) -> NodeProof:
    rule = operators()[op]
    constants = constants or (None,) * len(grids)
    return rule.prove(NodeContext("n", op, attributes, tuple(shapes), tuple(grids), tuple(constants)))


def limits(proof: NodeProof) -> tuple[list[int], list[int]]:
    (grid, *_) = proof.outputs
    assert grid is not None
    return grid.lo.reshape(-1).tolist(), grid.hi.reshape(-1).tolist()


def round_fraction(value: Fraction, mode: RoundingMode) -> int:
    """A rational number as the proofs round it."""
    (rounded,) = quantized.round_quotients(integers(value.numerator), integers(value.denominator), mode)
    return int(rounded)


def _between(first: Fraction, last: Fraction) -> Grid:
    divisor = first.denominator * last.denominator
    return Grid(integers(int(first * divisor)), integers(int(last * divisor)), 0, divisor)


def quantized_limits(
    ends: tuple[Fraction, Fraction] | None, k: int, i: int, f: int, rounding: RoundingMode, overflow: OverflowMode
) -> tuple[int, int]:
    """Limits of one element behind a quantizer; None: of any value at all."""
    source, formats = None if ends is None else _between(*ends), (np.array([k]), np.array([i]), np.array([f]))
    (low,), (high,) = quantized.quantized_limits(source, formats, rounding, overflow)
    return low, high


def overflows(
    ends: tuple[Fraction, Fraction], k: int, i: int, f: int, rounding: RoundingMode, overflow: OverflowMode
) -> bool:
    """Whether one element can leave its format."""
    formats = np.array([k]), np.array([i]), np.array([f])
    return bool(quantized.leaves_format(_between(*ends), formats, rounding, overflow).any())
