"""How many values of events the stated input type of a model cannot hold, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.fixed import FixedPointType

Array = NDArray[Any]


@dataclass(frozen=True)
class OffGrid:
    """Values of inputs, counted.

    Attributes:
        values: how many there are.
        rounded: how many lie between two values of the type.
        saturated: how many are beyond its smallest or largest one, infinite ones included.
        not_numbers: how many are NaN.
    """

    values: int = 0
    rounded: int = 0
    saturated: int = 0
    not_numbers: int = 0

    @property
    def changed(self) -> int:
        """How many the type does not hold."""
        return self.rounded + self.saturated + self.not_numbers

    def __add__(self, other: OffGrid) -> OffGrid:
        """Both together."""
        return OffGrid(
            self.values + other.values,
            self.rounded + other.rounded,
            self.saturated + other.saturated,
            self.not_numbers + other.not_numbers,
        )

    @classmethod
    def count(cls, values: Array, kind: FixedPointType | None) -> OffGrid:
        """Of some values; of an input without a stated type none is off the grid."""
        if kind is None:
            return cls(values.size)
        # multiplied by a power of two that its type holds: exact, unless so large that it is out of range anyway
        narrow = values.dtype.kind == "f" and abs(kind.frac) <= np.finfo(values.dtype).maxexp // 2
        with np.errstate(over="ignore"):
            steps = values * values.dtype.type(2.0**kind.frac) if narrow else values.astype(np.float64) * 2.0**kind.frac
        whole = np.rint(steps)
        lowest, beyond = float(kind.lowest), float(kind.highest + 1)  # a power of two, which every type holds
        if np.array_equal(whole, steps) and whole.min(initial=0) >= lowest and whole.max(initial=0) < beyond:
            return cls(values.size)
        unknown = np.isnan(steps)
        outside = (whole < lowest) | (whole >= beyond)
        between = (whole != steps) & ~outside & ~unknown
        return cls(values.size, *(int(np.count_nonzero(found)) for found in (between, outside, unknown)))

    def describe(self, done: tuple[str, str, str] = ("", "", "")) -> str:
        """One line; `done` says what was done with values of each kind."""
        kinds = ("between two values of the input type", "out of its range", "not a number")
        counts = (self.rounded, self.saturated, self.not_numbers)
        parts = [f"{n:,} {kind}{what}" for n, kind, what in zip(counts, kinds, done, strict=True) if n]
        head = f"Inputs: {self.changed:,} of {self.values:,} values were not on the input grid"
        return f"{head}: {', '.join(parts)}" if parts else head
