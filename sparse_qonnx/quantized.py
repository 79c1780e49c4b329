"""What a quantizer makes of an interval, in exact integer arithmetic: many elements at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.fixed import OverflowMode, RoundingMode
from sparse_qonnx.grid import Grid
from sparse_qonnx.integers import integers, powers_of_two

Array = NDArray[Any]
Formats = tuple[Array, Array, Array]
"""Sign, integer and fractional bits; they broadcast against each other and the limits."""


def _ceil(n: Array, d: Array) -> Array:
    whole: Array = -(-n // d)
    return whole


def _half_up(n: Array, d: Array) -> Array:
    whole: Array = (2 * n + d) // (2 * d)
    return whole


def _half_down(n: Array, d: Array) -> Array:
    return _ceil(2 * n - d, 2 * d)


def _half_even(n: Array, d: Array) -> Array:
    above = _half_up(n, d)
    is_tie = (2 * n + d) % (2 * d) == 0
    even: Array = above - (is_tie & (above % 2 == 1)).astype(np.int64)
    return even


_ROUND: dict[RoundingMode, Callable[[Array, Array], Array]] = {
    RoundingMode.TRN: lambda n, d: n // d,
    RoundingMode.TRN_ZERO: lambda n, d: np.where(n < 0, _ceil(n, d), n // d),
    RoundingMode.RND: _half_up,
    RoundingMode.RND_ZERO: lambda n, d: np.where(n < 0, _half_up(n, d), _half_down(n, d)),
    RoundingMode.RND_MIN_INF: _half_down,
    RoundingMode.RND_INF: lambda n, d: np.where(n < 0, _half_down(n, d), _half_up(n, d)),
    RoundingMode.RND_CONV: _half_even,
}


def round_quotients(numerators: Array, denominators: Array, mode: RoundingMode) -> Array:
    """The rational numbers n / d (d > 0) as integers, rounded exactly; the arrays broadcast."""
    return _ROUND[mode](integers(numerators), integers(denominators))


def _live(formats: Formats) -> Array:
    """Where a format keeps any bit."""
    k, i, f = formats
    live: Array = k + i + f > 0
    return live


def format_limits(formats: Formats, overflow: OverflowMode) -> tuple[Array, Array]:
    """Limits of formats, in steps of 2**-f; 0 and 0 where nothing is kept."""
    k, i, f = formats
    live = _live(formats)
    high = powers_of_two(np.where(live, i + f, 0)) - 1
    low = -high if overflow is OverflowMode.SAT_SYM else -high - 1
    return low * integers(np.where(live, k, 0)), high


class _Steps:
    """Limits of a grid as quotients n / d of whole steps of 2**-f, f element by element."""

    def __init__(self, source: Grid, f: Array) -> None:
        finer = powers_of_two(np.maximum(f - source.frac, 0))
        self.first, self.last = source.lo * finer, source.hi * finer
        self.d = source.divisor * powers_of_two(np.maximum(source.frac - f, 0))

    def rounded(self, mode: RoundingMode) -> tuple[Array, Array]:
        return round_quotients(self.first, self.d, mode), round_quotients(self.last, self.d, mode)


def _leaves(steps: _Steps, formats: Formats, rounding: RoundingMode, overflow: OverflowMode) -> Array:
    low, high = format_limits(formats, overflow)
    first, last = steps.rounded(rounding)
    leaves: Array = (first < low) | (last > high)
    if overflow is OverflowMode.WRAP_SM:
        # It looks at values before they are rounded; without a sign even the upper half of its own range is reflected.
        top = (high + 1) * integers(1 + formats[0])
        leaves |= (2 * steps.first + steps.d < 2 * low * steps.d) | (2 * steps.last + steps.d >= top * steps.d)
    return leaves & _live(formats)


def leaves_format(source: Grid, formats: Formats, rounding: RoundingMode, overflow: OverflowMode) -> Array:
    """Where values of a grid can leave the format, or be reflected within it: bool, of the broadcast shape."""
    return _leaves(_Steps(source, formats[2]), formats, rounding, overflow)


def quantized_limits(
    source: Grid | None, formats: Formats, rounding: RoundingMode, overflow: OverflowMode
) -> tuple[Array, Array]:
    """Limits after a quantizer, in steps of 2**-f, of the broadcast shape.

    Args:
        source: grid of what goes in; None for any value at all.
        formats: sign, integer bits and fractional bits.
        rounding: how it rounds.
        overflow: what it does with values out of range.
    """
    live = _live(formats)
    low, high = format_limits(formats, overflow)
    if source is not None and overflow in (OverflowMode.SAT, OverflowMode.SAT_SYM):
        first, last = _Steps(source, formats[2]).rounded(rounding)
        first, last = np.minimum(np.maximum(first, low), high), np.maximum(np.minimum(last, high), low)
    else:
        # Reflection gives negative values without a sign, too.
        first, last = (-high - 1 if overflow is OverflowMode.WRAP_SM else low), high
        if source is not None:
            steps = _Steps(source, formats[2])
            leaves = _leaves(steps, formats, rounding, overflow)
            first, last = (
                np.where(leaves, whole, inner)
                for whole, inner in zip((first, last), steps.rounded(rounding), strict=True)
            )
    return np.where(live, first, 0), np.where(live, last, 0)
