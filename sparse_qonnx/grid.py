"""Exact interval arithmetic on fixed-point grids: the proof behind every number format.

A tensor is on a grid when each element is `m * 2**-frac / divisor` with an integer m between `lo` and `hi`. The limits,
held per channel or per element, are exact integers (`integers.Integers`), so the proof can neither round nor overflow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.errors import PrecisionError
from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.integers import LIMIT, Integers, integers

Array = NDArray[Any]
FLOAT32_BITS = 24
FLOAT64_BITS = 53
FLOAT32_EXPONENT = 126
FLOAT64_EXPONENT = 1022
"""Powers of two from 2**-exponent to 2**exponent are ordinary numbers of the type, and so are the sums of two."""


def bits_of(*arrays: Array) -> int:
    """Bits of the largest magnitude among the integers."""
    return max((bound(a) for a in arrays), default=0).bit_length()


@dataclass(frozen=True)
class Occupancy:
    """At most `pixels` groups of `channels` consecutive elements (row-major) are not 0: a scattered feature map."""

    pixels: int
    channels: int


@dataclass(frozen=True)
class Grid:
    """Where the elements of a tensor can lie: `m * 2**-frac / divisor` with lo <= m <= hi.

    `lo` and `hi` have the rank of one sample of the tensor (`[1, C]` for features `[B, N, C]`) and broadcast against
    it; of whatever they are given as, they become exact integers. `rounded` marks a tensor whose floating-point value
    is only near `m * 2**-frac / divisor` because sums of quotients were formed; firmware holds it exactly, a later
    quantizer could disagree on a tie. `occupancy` is known for dense images of sparse maps, until an operator that
    does not keep zeros.
    """

    lo: Array
    hi: Array
    frac: int
    divisor: int = 1
    rounded: bool = False
    occupancy: Occupancy | None = None

    def __post_init__(self) -> None:
        lo = integers(self.lo)
        object.__setattr__(self, "hi", lo if self.hi is self.lo else integers(self.hi))
        object.__setattr__(self, "lo", lo)

    @classmethod
    def of_type(cls, kind: FixedPointType, rank: int) -> Grid:
        """The full range of a fixed-point type, for a sample of `rank` dimensions."""
        lo, hi = (integers(limit).reshape((1,) * rank) for limit in (kind.lowest, kind.highest))
        return cls(lo, hi, kind.frac)

    @classmethod
    def of_constant(cls, values: Array, where: str = "constant") -> Grid:
        """The coarsest grid that holds the given finite values exactly; every element is its own interval.

        Raises:
            PrecisionError: for NaN or infinity.
        """
        flat = np.asarray(values, dtype=np.float64)
        if not np.isfinite(flat).all():
            raise PrecisionError(where, "holds NaN or infinity", allowed="finite numbers", fix="train again or repair")
        mantissas, exponents = np.frexp(flat.reshape(-1))
        digits, places = np.ldexp(mantissas, FLOAT64_BITS).astype(np.int64), exponents - FLOAT64_BITS
        zeros = np.frexp((digits & -digits).astype(np.float64))[1] - 1
        last = (places + zeros)[digits != 0]  # places of the lowest bits
        if not last.size:
            m = integers(np.zeros(flat.shape, np.int64))
            return cls(m, m, 0)
        frac = -int(last.min())
        if int(exponents.max()) + frac < LIMIT.bit_length():
            m = integers(np.ldexp(flat, frac).astype(np.int64))
        else:
            shifts = zip(digits.tolist(), (places + frac).tolist(), strict=True)
            whole = [v << s if s > 0 else v >> -s for v, s in shifts]
            m = integers(np.array(whole, dtype=object).reshape(flat.shape))
        return cls(m, m, frac)

    # ---- questions ----------------------------------------------------------------------------------------------

    @property
    def bits(self) -> int:
        """Bits of the largest |m|: what a floating-point significand must hold."""
        return bits_of(self.lo, self.hi)

    @property
    def lowest(self) -> int:
        """Smallest m over all elements."""
        return int(self.lo.min()) if self.lo.size else 0

    @property
    def highest(self) -> int:
        """Largest m over all elements."""
        return int(self.hi.max()) if self.hi.size else 0

    @property
    def signed(self) -> bool:
        """Whether any element can be negative."""
        return self.lowest < 0

    @property
    def rounded_in_sums(self) -> bool:
        """Whether sums are only near their grid points: each pending quotient is rounded before it is added."""
        return self.rounded or self.divisor != 1

    @property
    def type(self) -> FixedPointType:
        """The narrowest `ap_[u]fixed` that holds every numerator m * 2**-frac; at least one bit wide."""
        width = max(max(self.highest, -self.lowest - 1).bit_length() + self.signed, 1)
        return FixedPointType(self.signed, width, width - self.frac)

    def describe(self) -> str:
        """The type, with the pending divisor where there is one."""
        return str(self.type) + (f" / {self.divisor}" if self.divisor != 1 else "")

    # ---- arithmetic ---------------------------------------------------------------------------------------------

    def at(self, frac: int, divisor: int | None = None) -> Grid:
        """The same values on a finer grid (`frac` >= self.frac, `divisor` a multiple of self.divisor)."""
        divisor = self.divisor if divisor is None else divisor
        factor = (1 << (frac - self.frac)) * (divisor // self.divisor)
        if factor == 1:
            return Grid(self.lo, self.hi, frac, divisor, self.rounded)
        return Grid(self.lo * factor, self.hi * factor, frac, divisor, self.rounded)

    def with_limits(self, lo: Array, hi: Array, rounded: bool | None = None) -> Grid:
        """The same grid with other limits."""
        return Grid(lo, hi, self.frac, self.divisor, self.rounded if rounded is None else rounded)

    def occupied(self, occupancy: Occupancy | None) -> Grid:
        """The same grid with that occupancy: for operators that map 0 to 0 and keep the order of the elements."""
        return replace(self, occupancy=occupancy)

    def with_zero(self) -> Grid:
        """The grid of the values and 0 (empty slots and inactive pixels hold 0)."""
        return self.with_limits(np.minimum(self.lo, 0), np.maximum(self.hi, 0))

    def reshape(self, shape: Sequence[int], source: Sequence[int]) -> Grid:
        """Limits of the tensor reshaped from the sample shape `source` to `shape`."""

        def to(a: Array) -> Array:
            return a.reshape((1,) * len(shape)) if a.size == 1 else np.broadcast_to(a, tuple(source)).reshape(shape)

        return self.with_limits(to(self.lo), to(self.hi)).occupied(self.occupancy)

    def envelope(self) -> Grid:
        """One interval for all elements."""
        shape = (1,) * self.lo.ndim
        lo, hi = (integers(v).reshape(shape) for v in (self.lowest, self.highest))
        return self.with_limits(lo, hi)


def common_grid(a: Grid, b: Grid) -> tuple[Grid, Grid]:
    """Both operands on one grid."""
    frac = max(a.frac, b.frac)
    divisor = math.lcm(a.divisor, b.divisor)
    return a.at(frac, divisor), b.at(frac, divisor)


def add(a: Grid, b: Grid) -> Grid:
    """Grid of a + b; a sum with a pending divisor is no longer a single rounded quotient."""
    a, b = common_grid(a, b)
    return Grid(a.lo + b.lo, a.hi + b.hi, a.frac, a.divisor, a.rounded_in_sums or b.rounded_in_sums)


def union(a: Grid, b: Grid) -> Grid:
    """Grid that holds the values of both."""
    a, b = common_grid(a, b)
    return Grid(np.minimum(a.lo, b.lo), np.maximum(a.hi, b.hi), a.frac, a.divisor, a.rounded or b.rounded)


def relu(a: Grid) -> Grid:
    """Grid of max(a, 0)."""
    return a.with_limits(np.maximum(a.lo, 0), np.maximum(a.hi, 0)).occupied(a.occupancy)


def products(lo: Array, hi: Array, weights: Array) -> tuple[Array, Array]:
    """Smallest and largest product of each weight (integers) with its input, in [lo, hi]; shapes broadcast."""
    weights = integers(weights)
    low, high = weights * lo, weights * hi
    return np.minimum(low, high), np.maximum(low, high)


@dataclass(frozen=True)
class Dot:
    """A sum of products: the final limits, and the limits every partial sum in any order stays within."""

    lo: Array
    hi: Array
    partial: int  # largest magnitude of a partial sum


def dot(x: Grid, weights: Array) -> Dot:
    """Limits of `x @ weights` for x `[..., K]` and integer weights `[K, F]`."""
    lo_k, hi_k = products(x.lo[..., None], x.hi[..., None], weights)
    least, most = np.minimum(lo_k, 0), np.maximum(hi_k, 0)
    if x.occupancy is not None and x.lo.ndim == 1:
        # any element may be 0, and only so many pixels are not: the most extreme ones
        by_pixel = (-1, x.occupancy.channels, weights.shape[1])
        low = np.sort(least.reshape(by_pixel).sum(axis=1), axis=0)[: x.occupancy.pixels].sum(axis=0)
        high = -np.sort(-most.reshape(by_pixel).sum(axis=1), axis=0)[: x.occupancy.pixels].sum(axis=0)
        return Dot(low, high, max(bound(low), bound(high)))
    return Dot(lo_k.sum(axis=-2), hi_k.sum(axis=-2), max(bound(least.sum(axis=-2)), bound(most.sum(axis=-2))))


def bound(a: Array) -> int:
    """Largest magnitude in an integer array."""
    return Integers.of(a).magnitude


@dataclass(frozen=True)
class NodeContext:
    """A node as its rule sees it: attributes, static shapes (batch = None), input grids and constant inputs."""

    name: str
    op_type: str
    attributes: dict[str, Any]
    shapes: tuple[tuple[int | str | None, ...], ...]
    grids: tuple[Grid | None, ...]
    constants: tuple[Array | None, ...]
    output_shapes: tuple[tuple[int | str | None, ...], ...] = ()

    @property
    def where(self) -> str:
        """How messages name the node."""
        return f"node {self.name!r} ({self.op_type})"


@dataclass(frozen=True)
class NodeProof:
    """What a rule proves.

    Attributes:
        outputs: a grid per output; None where it is on no known one.
        bits: of the significand that make every intermediate exact.
        notes: what a user should know.
        exponent: largest magnitude of an exponent among the powers of two that it computes with.
    """

    outputs: tuple[Grid | None, ...]
    bits: int = 0
    notes: tuple[str, ...] = field(default=())
    exponent: int = 0
