"""What an operator makes of inputs that are scaled: the language in which it says so.

An average by a number that is no power of two leaves the grid, so its division is carried: tensors hold *numerators*,
the values times a whole number d, and are divided by d where somebody needs the value (`passes.carry_divisors`).
"""

from __future__ import annotations

import math
from enum import Enum, auto
from fractions import Fraction
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.grid import Grid, NodeContext


class Operand(Enum):
    """What becomes of an operator's result when one of its inputs is d times as large, d > 0."""

    VALUE = auto()
    """Anything: the operator needs the value itself, or the input is no number (axes, coordinates)."""
    FACTOR = auto()
    """It is d times as large, too; several factors multiply."""
    ADDEND = auto()
    """It is d times as large if all addends are, and the product of the factors where there are any."""


class SumWriter(Protocol):
    """Writes the nodes of an average without its division."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Inputs of the average: use these names, not those of the node."""

    def constant(self, part: str, values: NDArray[Any]) -> str:
        """Add a constant; returns its name."""

    def node(self, part: str, op_type: str, inputs: list[str], **attributes: Any) -> str:
        """Append a standard node on the way; returns the name of its result."""

    def last(self, op_type: str, inputs: list[str], **attributes: Any) -> None:
        """Append the node, of the average's own domain, that takes its place: its first result are the numerators."""

    def same(self, name: str) -> None:
        """Say that a tensor holds the numerators already."""


class Carrying:
    """How an operator carries numerators; every operator that is known says it here."""

    operands: ClassVar[tuple[Operand, ...]] = ()
    """What each input is; the last entry stands for all inputs behind it, none at all for "values only"."""

    asks_for_zero: ClassVar[bool] = False
    """Whether the operator does something else where a sum is exactly 0."""

    @classmethod
    def scaling(cls, node: NodeContext) -> tuple[Operand, ...]:
        """`operands` of this node, for operators in which it depends on the node."""
        return cls.operands

    @classmethod
    def carried_attributes(cls, node: NodeContext, divisor: int) -> dict[str, Any] | None:
        """Attributes that change where the input holds numerators by `divisor`; None: it needs the value after all."""
        return {}

    @classmethod
    def as_sum(cls, node: NodeContext, write: SumWriter) -> int | None:
        """Write an average without its division; returns the divisor, None (and nothing written) for all others."""
        return None


def carried_threshold(grid: Grid | None, threshold: float, divisor: int) -> float | None:
    """A float32 number that lies above the same values, each times `divisor`, as the threshold does.

    Args:
        grid: of the values; None where it is not known.
        threshold: what they are compared with.
        divisor: of the numerators.

    Returns:
        None where there is no such number, or the values are not known.
    """
    if grid is None or not math.isfinite(threshold):
        return None
    units = Fraction(2) ** grid.frac * grid.divisor
    last = min(max(math.floor(Fraction(threshold) * units), grid.lowest - 1), grid.highest)
    exact = last * divisor / units
    carried = float(np.float32(float(exact)))
    return carried if Fraction(carried) == exact else None


def odd_part(count: int) -> int:
    """What is left of a positive number without its factors of two."""
    return count // (count & -count)
