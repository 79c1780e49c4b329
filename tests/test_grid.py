"""Exact interval inference: sound on random values, tight on known ones."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs import quantized_limits, round_fraction
from sparse_qonnx.errors import PrecisionError
from sparse_qonnx.fixed import FixedPointType, OverflowMode, RoundingMode, quantize
from sparse_qonnx.grid import Grid, Occupancy, add, dot, relu
from sparse_qonnx.offgrid import OffGrid
from strategies import seeds

steps = st.integers(-200, 200)


@given(st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=6), st.integers(-8, 12))
def test_constants_get_the_coarsest_grid(values: list[int], frac: int) -> None:
    array = np.array(values) * 2.0**-frac
    grid = Grid.of_constant(array)
    assert [Fraction(int(m)) / Fraction(2) ** grid.frac for m in grid.lo.flat] == [Fraction(v) for v in array]
    assert any(int(m) % 2 for m in grid.lo.flat) or not any(values) or grid.frac == 0


def test_constants_refuse_nan() -> None:
    with pytest.raises(PrecisionError, match=r"weights 'w'.*NaN"):
        Grid.of_constant(np.array([1.0, np.nan]), where="weights 'w'")


@pytest.mark.parametrize(
    ("lo", "hi", "frac", "text"),
    [
        (0, 255, 4, "ap_ufixed<8,4>"),
        (-128, 127, 0, "ap_fixed<8,8>"),
        (-129, 0, 2, "ap_fixed<9,7>"),
        (0, 0, 0, "ap_ufixed<1,1>"),
        (-1, 0, 3, "ap_fixed<1,-2>"),
        (0, 3, -2, "ap_ufixed<2,4>"),
    ],
)
def test_narrowest_type(lo: int, hi: int, frac: int, text: str) -> None:
    assert str(Grid(np.array([lo], dtype=object), np.array([hi], dtype=object), frac).type) == text


@given(steps, steps, st.integers(0, 1), st.integers(-2, 4), st.integers(-3, 4), st.sampled_from(list(RoundingMode)),
       st.sampled_from([OverflowMode.WRAP, OverflowMode.SAT, OverflowMode.SAT_SYM]), st.integers(-2, 5))  # fmt: skip
def test_quantizer_limits_hold_every_value(
    a: int, b: int, k: int, i: int, f: int, rounding: RoundingMode, overflow: OverflowMode, frac: int
) -> None:
    """All grid points between the limits go through the quantizer; the proven limits are exactly met or wrapped."""
    lo, hi = sorted((a, b))
    x = np.arange(lo, hi + 1) * 2.0**-frac
    y = quantize(x, np.array(k), np.array(i), np.array(f), rounding, overflow) * 2.0**f
    first, last = quantized_limits((Fraction(x[0]), Fraction(x[-1])), k, i, f, rounding, overflow)
    assert first <= y.min() and y.max() <= last
    if overflow is not OverflowMode.WRAP:
        assert (y.min(), y.max()) == (first, last)


@given(st.fractions(-100, 100, max_denominator=64), st.sampled_from(list(RoundingMode)))
def test_round_fraction_is_the_quantizer(value: Fraction, mode: RoundingMode) -> None:
    value = Fraction(round(value * 64), 64)
    want = quantize(np.array([float(value)]), np.array(1), np.array(12), np.array(0), mode, "SAT")
    assert round_fraction(value, mode) == want[0]


@given(st.lists(st.tuples(steps, steps), min_size=2, max_size=4), st.integers(0, 2**32 - 1))
def test_dot_holds_every_sum_and_partial_sum(limits: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    lo, hi = (np.array([f(pair) for pair in limits], dtype=object) for f in (min, max))
    weights = rng.integers(-9, 10, (len(limits), 3)).astype(object)
    result = dot(Grid(lo, hi, 0), weights)
    x = np.array([[int(rng.integers(a, b + 1)) for a, b in zip(lo, hi, strict=True)] for _ in range(20)], dtype=object)
    sums = x @ weights
    assert (sums >= result.lo).all() and (sums <= result.hi).all()
    partial = np.cumsum(x[:, :, None] * weights, axis=1)
    assert max(abs(int(v)) for v in partial.flat) <= result.partial


@given(st.integers(1, 3), st.integers(1, 2), seeds)
def test_dot_of_a_scattered_map_counts_only_its_pixels(pixels: int, channels: int, seed: int) -> None:
    """Tight: some map with that many pixels reaches each limit."""
    rng = np.random.default_rng(seed)
    k = 4 * channels
    lo, hi = np.full(k, -3, dtype=object), np.full(k, 5, dtype=object)
    weights = rng.integers(-9, 10, (k, 2)).astype(object)
    result = dot(Grid(lo, hi, 0, occupancy=Occupancy(pixels, channels)), weights)
    reached = []
    for chosen in combinations(range(4), min(pixels, 4)):
        members = np.repeat(np.isin(np.arange(4), chosen), channels)
        extremes = [np.where(weights * side < 0, -3, 5) * members[:, None] for side in (1, -1)]
        reached.append([(e * weights).sum(axis=0) for e in extremes])
    sums = np.array(reached, dtype=object)
    assert (sums[:, 0].max(axis=0) == result.hi).all()
    assert (sums[:, 1].min(axis=0) == result.lo).all()
    assert result.partial <= dot(Grid(np.minimum(lo, 0), np.maximum(hi, 0), 0), weights).partial


def test_sums_of_quotients_are_marked() -> None:
    one = np.array([1], dtype=object)
    third = Grid(-one, one, 2, 3)
    assert not relu(third).rounded
    assert add(third, Grid(one, one, 4)).rounded
    assert add(third, Grid(one, one, 4)).divisor == 3


@pytest.mark.parametrize(
    "text", ["ap_fixed", "ap_fixed<8>", "ap_ufixed<0,1>", "ap_fixed<65,1>", "float", "ap_fixed<8,1>x"]
)
def test_types_that_cannot_be_read(text: str) -> None:
    with pytest.raises(PrecisionError, match="cannot read"):
        FixedPointType.parse(text)


@given(st.booleans(), st.integers(1, 20), st.integers(-5, 20))
def test_types_survive_writing_and_reading(signed: bool, width: int, integer: int) -> None:
    kind = FixedPointType(signed, width, integer)
    assert FixedPointType.parse(str(kind)) == kind


def test_threshold_floors_onto_the_grid() -> None:
    kind = FixedPointType.parse("ap_ufixed<8,2>")
    assert kind.floor(0.4) == Fraction(25, 64)
    assert kind.floor(-0.4) == Fraction(-26, 64)
    values = np.arange(0, 256) / 64
    assert ((values > 0.4) == (values > float(kind.floor(0.4)))).all()


@pytest.mark.parametrize("text", ["ap_fixed<64,-128>", "ap_ufixed<8,128>", "ap_fixed<8,4>"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_zero_is_on_every_grid(text: str, dtype: type) -> None:
    """A step of 2**-192 is no float32: times infinity, a zero would be no number."""
    assert OffGrid.count(np.zeros(3, dtype), FixedPointType.parse(text)).changed == 0
    assert OffGrid.count(np.ones(3, dtype), FixedPointType.parse(text)).changed == 3 * (text != "ap_fixed<8,4>")
