"""Exact integers: int64 and Python integers give the same values, whatever the sizes, and nothing else is computed."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sparse_qonnx.fixed import FixedPointType, OverflowMode, RoundingMode
from sparse_qonnx.grid import Grid, Occupancy, add, bits_of, bound, dot, products
from sparse_qonnx.integers import LIMIT, Integers, integers, powers_of_two
from sparse_qonnx.quantized import format_limits, leaves_format, quantized_limits, round_quotients

Array = NDArray[Any]

EDGES = [0, 1, 2, 2**31, 3037000500, 2**32, 2**61, 2**62, 2**63, 2**64, 2**100]
"""Where something changes: 3037000500 is the first whose square leaves int64."""

edges = st.sampled_from(EDGES).flatmap(lambda n: st.sampled_from([n, -n, n - 1, 1 - n, n + 1, -n - 1]))
numbers = st.one_of(edges, st.integers(-300, 300), st.integers(-(2**70), 2**70))
lists = st.lists(numbers, min_size=1, max_size=4)


def as_objects(values: list[int]) -> Array:
    return np.array(values, dtype=object)


def same(found: Any, wanted: Any) -> bool:
    """Value for value, as Python integers, and held as int64 exactly where that is allowed."""
    found, wanted = Integers.of(found), np.asarray(wanted, dtype=object)
    fits = all(abs(int(v)) < LIMIT for v in wanted.flat)
    assert (found.values.dtype == np.int64) == fits
    return found.shape == wanted.shape and found.tolist() == wanted.tolist()


OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "negative": lambda a, _: -a,
    "absolute": lambda a, _: abs(a),
    "by a number": lambda a, b: 3 * a - int(b[0]),
    "of an array": lambda a, b: np.array([5], dtype=object) * a + b,
    "sum": lambda a, _: a.sum(axis=0),
    "kept": lambda a, _: a.sum(axis=(0, 1), keepdims=True),
    "all": lambda a, _: a.sum(),
    "smallest": lambda a, _: a.min(axis=1),
    "largest": lambda a, _: np.max(a, axis=(0, 1)),
    "sorted": lambda a, _: np.sort(a, axis=0),
    "chosen": lambda a, b: np.where(a < b, a, b),
    "zero": lambda a, b: np.where(a < b, a, 2**64),
    "broadcast": lambda a, b: np.broadcast_to(b, a.shape) + np.broadcast_arrays(a, b)[1],
    "joined": lambda a, b: np.concatenate([a, np.broadcast_to(b, a.shape)], axis=0),
    "part": lambda a, _: a[1:, ::-1],
    "moved": lambda a, _: np.transpose(a, (1, 0)).reshape(-1)[None],
    "padded": lambda a, b: np.pad(a, ((0, 1), (1, 0)), constant_values=int(b[0])),
    "at the edges": lambda a, _: np.pad(a, 1, mode="edge"),
    "taken": lambda a, _: np.take(a, [1, 0, 0], axis=0),
    "tiled": lambda a, _: np.tile(a, (1, 2)),
    "second half": lambda a, _: np.split(a, [1], 0)[1],
    "ravel": lambda a, _: np.ravel(a.T),
}


@pytest.mark.parametrize("name", OPERATIONS)
@given(st.data())
def test_int64_and_python_integers_agree(name: str, data: st.DataObject) -> None:
    """The first operand has two rows, the second one broadcasts."""
    width = data.draw(st.integers(1, 3))
    rows = [data.draw(st.lists(numbers, min_size=width, max_size=width)) for _ in range(3)]
    a, b = as_objects([*rows[0], *rows[1]]).reshape(2, width), as_objects(rows[2])
    operation = OPERATIONS[name]
    assert same(operation(integers(a), integers(b)), operation(a, b))


@given(lists, st.lists(numbers.filter(bool), min_size=1, max_size=1))
def test_divisions_agree(a: list[int], b: list[int]) -> None:
    left, right = as_objects(a), as_objects(b)
    assert same(integers(left) // integers(right), left // right)
    assert same(integers(left) % integers(right), left % right)
    with pytest.raises(ZeroDivisionError):
        integers(left) // integers([0])


@given(lists, st.lists(numbers, min_size=1, max_size=1))
@example([2**62], [2**62])
def test_comparisons_agree(a: list[int], b: list[int]) -> None:
    left, right = as_objects(a), as_objects(b)
    for ask in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal):
        found = ask(integers(left), integers(right))
        assert found.dtype == bool and found.tolist() == ask(left, right).astype(bool).tolist()


@given(lists, lists)
def test_magnitudes(a: list[int], b: list[int]) -> None:
    assert bound(as_objects(a)) == Integers(as_objects(a)).magnitude == max(map(abs, a))
    assert bits_of(as_objects(a), integers(b)) == max(abs(v) for v in (*a, *b)).bit_length()
    total = integers(a) + integers(b[:1])
    assert total.magnitude <= max(Integers.of(total).reach, 0), "a reach is never too small"


@given(st.integers(1, 200))
def test_a_sum_of_many_never_overflows(count: int) -> None:
    for value in (2**61, 2**62 - 1, -(2**62) + 1):
        column = integers(np.full((count, 1), value, dtype=np.int64))
        assert column.sum(axis=0).tolist() == [value * count] and column.sum() == value * count


def test_what_they_are_made_of() -> None:
    assert integers(np.uint8([255])).tolist() == [255] and integers(np.uint64([2**64 - 1])).tolist() == [2**64 - 1]
    assert integers(np.array([-(2**63)])).tolist() == [-(2**63)] and abs(integers(np.array([-(2**63)])))[0] == 2**63
    assert integers(np.array([True, False])).tolist() == [1, 0] and integers([]).size == 0
    assert int(integers(7)) == 7 and integers(7).shape == () and list(integers([[1], [2]])[1]) == [2]
    assert {type(v) for v in (*integers([1]), *integers([[2]]).flat, integers([3])[0])} == {int}
    assert np.asarray(integers([1, 2])).dtype == object, "an ordinary array of them cannot overflow either"
    for wrong in (np.array([0.5]), np.array([0.5], dtype=object), np.array(["1"]), np.array([None])):
        with pytest.raises((TypeError, ValueError)):
            integers(wrong)


def test_what_is_not_known_is_refused() -> None:
    """An operation without a bound would overflow unseen."""
    a = integers([1, 2])
    for refused in (
        lambda: a / 2,
        lambda: a**2,
        lambda: a << 1,
        lambda: np.sqrt(a),
        lambda: np.cumsum(a),
        lambda: np.multiply.reduce(a),
        lambda: np.add.accumulate(a),
        lambda: np.add(a, a, out=np.zeros(2, np.int64)),
        lambda: np.dot(a, a),
        lambda: np.pad(a, 1, mode="mean"),
    ):
        with pytest.raises(TypeError):
            refused()


@given(st.lists(st.integers(0, 130), min_size=1, max_size=4))
def test_powers(exponents: list[int]) -> None:
    assert same(powers_of_two(np.array(exponents)), [2**e for e in exponents])


# ---- what is made with them ------------------------------------------------------------------------------------------

floats = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([5e-324, 2.0**-1022, 1.5 * 2.0**-1023, 2.0**61, 2.0**62, -(2.0**63), 1.7976931348623157e308]),
    st.builds(lambda m, e: m * 2.0**e, st.integers(-(2**53), 2**53), st.integers(-70, 70)),
)


@given(st.lists(floats, max_size=4))
@example([])
@example([-0.0])
@example([2.0**62 - 2.0**9, 1.0])
@example([2.0**62, 1.0])
def test_constants_are_exact_on_the_coarsest_grid(values: list[float]) -> None:
    grid = Grid.of_constant(np.array(values, dtype=np.float64))
    step = Fraction(2) ** -grid.frac
    assert [m * step for m in grid.lo.flat] == [Fraction(v) for v in values] and grid.lo is grid.hi
    assert same(grid.lo, as_objects(list(grid.lo.flat)))
    assert any(m % 2 for m in grid.lo.flat) if any(values) else grid.frac == 0


def test_constants_keep_their_shape() -> None:
    for shape in ((), (1,), (2, 3), (0, 4)):
        assert Grid.of_constant(np.ones(shape, np.float32)).lo.shape == shape


def sides(draw: st.DrawFn, count: int) -> tuple[Array, Array]:
    pairs = [sorted((draw(numbers), draw(numbers))) for _ in range(count)]
    return as_objects([p[0] for p in pairs]), as_objects([p[1] for p in pairs])


@given(st.data())
def test_sums_of_products_agree(data: st.DataObject) -> None:
    """Against a definition written out over Python integers."""
    count, occupied = data.draw(st.integers(1, 4)), data.draw(st.booleans())
    lo, hi = sides(data.draw, count)
    weights = as_objects([data.draw(numbers) for _ in range(count)]).reshape(count, 1)
    found = dot(Grid(lo, hi, 0, occupancy=Occupancy(2, 1) if occupied else None), weights)
    ends = [sorted((int(w) * int(a), int(w) * int(b))) for w, a, b in zip(weights[:, 0], lo, hi, strict=True)]
    low, high = [min(e[0], 0) for e in ends], [max(e[1], 0) for e in ends]
    if occupied:
        low, high = sorted(low)[:2], sorted(high)[-2:]
        assert (found.lo.tolist(), found.hi.tolist()) == ([sum(low)], [sum(high)])
    else:
        assert (found.lo.tolist(), found.hi.tolist()) == ([sum(e[0] for e in ends)], [sum(e[1] for e in ends)])
    assert found.partial == max(-sum(low), sum(high))
    assert [side.tolist() for side in products(lo, hi, weights[:, 0])] == [[e[n] for e in ends] for n in (0, 1)]


@given(st.data())
def test_finer_grids_agree(data: st.DataObject) -> None:
    lo, hi = sides(data.draw, 2)
    finer, times = data.draw(st.integers(0, 70)), data.draw(st.integers(1, 5))
    grid = Grid(lo, hi, 3, 2).at(3 + finer, 2 * times)
    assert same(grid.lo, lo * (2**finer * times)) and same(grid.hi, hi * (2**finer * times))
    total = add(Grid(lo, hi, 3), Grid(hi, hi, 3 + finer))
    assert same(total.lo, lo * 2**finer + hi) and same(total.hi, hi * 2**finer + hi)
    width = max(int(hi.max()), -int(lo.min()) - 1).bit_length() + int(lo.min() < 0)
    assert Grid(lo, hi, 3).type == FixedPointType(bool(lo.min() < 0), max(width, 1), max(width, 1) - 3)


def _rounded(value: Fraction, mode: RoundingMode) -> int:
    """Rounding as its name says it, without divisions of integers."""
    below = value.numerator // value.denominator
    part = value - below
    above = below + (part > 0)
    towards = {
        RoundingMode.TRN: below,
        RoundingMode.TRN_ZERO: below if value >= 0 else above,
    }
    ties = {
        RoundingMode.RND: above,
        RoundingMode.RND_ZERO: below if value >= 0 else above,
        RoundingMode.RND_MIN_INF: below,
        RoundingMode.RND_INF: above if value >= 0 else below,
        RoundingMode.RND_CONV: below if below % 2 == 0 else above,
    }
    if mode in towards:
        return towards[mode]
    half = Fraction(1, 2)
    return ties[mode] if part == half else below if part < half else above


@pytest.mark.parametrize("mode", RoundingMode)
@given(lists, st.integers(1, 2**70) | st.integers(1, 12))
def test_quotients_are_rounded_exactly(mode: RoundingMode, values: list[int], divisor: int) -> None:
    found = round_quotients(as_objects(values), as_objects([divisor]), mode)
    assert same(found, as_objects([_rounded(Fraction(v, divisor), mode) for v in values]))


@given(st.data(), st.sampled_from(list(RoundingMode)), st.sampled_from(list(OverflowMode)))
def test_quantizers_of_many_elements_agree_with_one_by_one(
    data: st.DataObject, rounding: RoundingMode, overflow: OverflowMode
) -> None:
    """Element by element, by rational numbers; formats differ between elements, limits reach 2**62 and beyond."""
    count = data.draw(st.integers(1, 3))
    lo, hi = sides(data.draw, count)
    frac, divisor = data.draw(st.integers(-4, 70)), data.draw(st.sampled_from([1, 3, 49]))
    k, i, f = (np.array([data.draw(st.integers(*ends)) for _ in range(count)]) for ends in ((0, 1), (-3, 66), (-4, 66)))
    source = Grid(lo, hi, frac, divisor)
    first, last = quantized_limits(source, (k, i, f), rounding, overflow)
    leaves = leaves_format(source, (k, i, f), rounding, overflow)
    floor, ceiling = format_limits((k, i, f), overflow)
    for n in range(count):
        kn, width, step = int(k[n]), int(k[n] + i[n] + f[n]), Fraction(2) ** (int(f[n]) - frac) / divisor
        if width <= 0:
            assert (first[n], last[n], bool(leaves[n])) == (0, 0, False)
            continue
        high = 2 ** (width - kn) - 1
        low = -(high + (overflow is not OverflowMode.SAT_SYM)) * kn
        assert (floor[n], ceiling[n]) == (low, high)
        ends = [int(side[n]) * step for side in (lo, hi)]
        inner = [_rounded(value, rounding) for value in ends]
        outside = inner[0] < low or inner[1] > high
        if overflow is OverflowMode.WRAP_SM:
            half = Fraction(1, 2)
            outside |= ends[0] + half < low or ends[1] + half >= (high + 1 if kn else Fraction(high + 1, 2))
        assert bool(leaves[n]) == outside
        if overflow in (OverflowMode.SAT, OverflowMode.SAT_SYM):
            wanted = [min(max(v, low), high) for v in inner]
        elif outside:
            wanted = [-high - 1 if overflow is OverflowMode.WRAP_SM else low, high]
        else:
            wanted = inner
        assert [first[n], last[n]] == wanted
