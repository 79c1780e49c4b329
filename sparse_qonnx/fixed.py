"""Fixed-point formats and the one definition of how a quantizer computes.

Keras, the ONNX function bodies, the native kernels and the firmware all follow `quantize`: the same operations in the
same order, so that they agree on every input, ties and overflows included.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.errors import PrecisionError
from sparse_qonnx.text import shown

Array = NDArray[Any]


class RoundingMode(StrEnum):
    """Rounding to the grid, with the names of `ap_fixed`."""

    TRN = "TRN"  # towards minus infinity
    TRN_ZERO = "TRN_ZERO"  # towards zero
    RND = "RND"  # nearest, ties towards plus infinity
    RND_ZERO = "RND_ZERO"  # nearest, ties towards zero
    RND_MIN_INF = "RND_MIN_INF"  # nearest, ties towards minus infinity
    RND_INF = "RND_INF"  # nearest, ties away from zero
    RND_CONV = "RND_CONV"  # nearest, ties to even


class OverflowMode(StrEnum):
    """What happens outside the range, with the names of `ap_fixed`."""

    WRAP = "WRAP"
    SAT = "SAT"
    SAT_SYM = "SAT_SYM"
    WRAP_SM = "WRAP_SM"


_ROUND: dict[RoundingMode, Callable[[Array], Any]] = {
    RoundingMode.TRN: np.floor,
    RoundingMode.TRN_ZERO: lambda x: np.floor(np.abs(x)) * np.sign(x),
    RoundingMode.RND: lambda x: np.floor(x + x.dtype.type(0.5)),
    RoundingMode.RND_ZERO: lambda x: -np.floor(x.dtype.type(0.5) - np.abs(x)) * np.sign(x),
    RoundingMode.RND_MIN_INF: lambda x: -np.floor(x.dtype.type(0.5) - x),
    RoundingMode.RND_INF: lambda x: np.floor(np.abs(x) + x.dtype.type(0.5)) * np.sign(x),
    RoundingMode.RND_CONV: np.round,
}


def _floor_mod(x: Array, modulus: Array) -> Array:
    """x mod a power of two; exact, because scaling by a power of two is."""
    remainder: Array = x - np.floor(x / modulus) * modulus
    return remainder


def _wrap_sign_magnitude(x: Array, k: Array, i: Array, f: Array, rounded: Array) -> Array:
    """Reflecting wrap: the range is mirrored at its ends instead of starting anew."""
    eps = np.exp2(-f)
    high = np.exp2(i) - eps
    low = -(high + eps) * k
    interval = np.exp2(i + k)
    two, half = x.dtype.type(2), x.dtype.type(0.5)
    odd_period = (_floor_mod(x / interval, two) >= 1) & (np.abs(x) > eps * half)
    odd_half = _floor_mod((x + eps * half) / (interval * half), two) >= 1
    mapped = _floor_mod(rounded - high - eps, interval) + low
    mapped = np.where(odd_half, -mapped - eps, mapped)
    result: Array = np.where(odd_period, -mapped - eps, mapped)
    return result


def quantize(
    x: Array,
    signed: Array,
    integer_bits: Array,
    fractional_bits: Array,
    rounding_mode: str = "RND",
    overflow_mode: str = "WRAP",
) -> Array:
    """Fixed-point quantization in the floating-point type of `x` (float32 or float64).

    Saturation comes before rounding (the limits lie on the grid, so the order does not show in the result), wrapping
    after it. A width of zero bits or fewer gives 0. NaN stays NaN wherever the width is positive.

    Args:
        x: values, any shape.
        signed: 1 where negative values are kept, else 0; broadcasts against `x`.
        integer_bits: bits left of the binary point, without the sign; may be negative.
        fractional_bits: bits right of the binary point; may be negative.
        rounding_mode: a `RoundingMode` name.
        overflow_mode: an `OverflowMode` name.

    Returns:
        Quantized values, shape and type of `x`.

    Raises:
        ValueError: for an unknown mode name.
    """
    rounding, overflow = RoundingMode(rounding_mode), OverflowMode(overflow_mode)
    dtype = x.dtype.type
    k, i, f = (np.asarray(p, dtype=x.dtype) for p in (signed, integer_bits, fractional_bits))
    live = k + i + f > 0
    i = np.maximum(i, -f)
    scale = np.exp2(f)
    with np.errstate(invalid="ignore", over="ignore"):
        if overflow in (OverflowMode.SAT, OverflowMode.SAT_SYM):
            high = np.exp2(i) - np.exp2(-f)
            low = -k * (high if overflow is OverflowMode.SAT_SYM else np.exp2(i))
            x = np.where(x > high, high, np.where(x < low, low, x))
        y = _ROUND[rounding](x * scale) / scale
        if overflow is OverflowMode.WRAP:
            bias = k * np.exp2(i + k - dtype(1))
            y = _floor_mod(y + bias, np.exp2(i + k)) - bias
        elif overflow is OverflowMode.WRAP_SM:
            y = _wrap_sign_magnitude(x, k, i, f, y)
        result: Array = np.where(live, y, dtype(0)).astype(x.dtype, copy=False)
    return result


_AP_TYPE = re.compile(r"\s*ap_(u?)fixed\s*<\s*([0-9]{1,3})\s*,\s*(-?[0-9]{1,3})\s*>\s*")


@dataclass(frozen=True)
class FixedPointType:
    """`ap_[u]fixed<width, integer>`: `width` bits in all; `integer` counts the sign, as `ap_fixed` does."""

    signed: bool
    width: int
    integer: int

    @classmethod
    def parse(cls, text: str, where: str = "input_precision") -> FixedPointType:
        """Read `ap_fixed<W,I>` or `ap_ufixed<W,I>`.

        Raises:
            PrecisionError: if the text is anything else, or the width is not 1 to 64 bits.
        """
        match = _AP_TYPE.fullmatch(text) if isinstance(text, str) else None
        allowed = "ap_fixed<W,I> or ap_ufixed<W,I> with 1 <= W <= 64, for example ap_ufixed<18,1>"
        if match is None or not 1 <= int(match.group(2)) <= 64 or abs(int(match.group(3))) > 128:
            raise PrecisionError(where, f"cannot read {shown(text)} as a fixed-point type", allowed=allowed)
        return cls(match.group(1) != "u", int(match.group(2)), int(match.group(3)))

    @property
    def frac(self) -> int:
        """Bits right of the binary point."""
        return self.width - self.integer

    @property
    def lowest(self) -> int:
        """Smallest value, in units of 2**-frac."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """Largest value, in units of 2**-frac."""
        return (1 << (self.width - self.signed)) - 1

    def quantize(self, x: Array) -> Array:
        """Put values on the grid: nearest, ties to even, saturating; NaN becomes 0. Computed in float64."""
        scale = 2.0**self.frac
        steps = np.round(np.nan_to_num(np.asarray(x, dtype=np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf) * scale)
        return (np.clip(steps, float(self.lowest), float(self.highest)) / scale).astype(np.asarray(x).dtype)

    def floor(self, value: float) -> Fraction:
        """The largest grid point at or below `value`: `x > value` equals `x > floor(value)` for x on the grid."""
        steps = Fraction(value) * Fraction(2) ** self.frac
        return Fraction(steps.numerator // steps.denominator) / Fraction(2) ** self.frac

    def __str__(self) -> str:
        return f"ap_{'' if self.signed else 'u'}fixed<{self.width},{self.integer}>"


@dataclass(frozen=True)
class QuantizerFormat:
    """What a quantizer node does, element by element; the arrays broadcast against one sample of its input.

    Attributes:
        signed: 1 where negative values are kept.
        integer_bits: bits left of the binary point, without the sign.
        fractional_bits: bits right of it.
        rounding: how it rounds.
        overflow: what it does with values out of range.
        at_pixels: the arrays are maps `[H, W, C]`, read at the pixel of each slot.
    """

    signed: Array
    integer_bits: Array
    fractional_bits: Array
    rounding: RoundingMode
    overflow: OverflowMode
    at_pixels: bool = False

    @property
    def widths(self) -> Array:
        """Bits in all; 0 where nothing is kept."""
        widths: Array = np.maximum(self.signed + self.integer_bits + self.fractional_bits, 0)
        return widths
