"""What the operators prove, against every sum, pixel and cell there can be: nothing escapes, nothing is too wide."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from proofs import integers, limits, overflows, prove, quantized_limits, round_fraction
from sparse_qonnx.errors import PrecisionError
from sparse_qonnx.fixed import FixedPointType, OverflowMode, QuantizerFormat, RoundingMode, quantize
from sparse_qonnx.grid import (
    Grid,
    NodeContext,
    Occupancy,
    add,
    bits_of,
    bound,
    common_grid,
    dot,
    relu,
    union,
)
from sparse_qonnx.ops import operators
from strategies import seeds

Array = NDArray[Any]


# ---- grids ----------------------------------------------------------------------------------------------------------

A = Grid(integers(-3, 1), integers(5, 2), 2, 3)
B = Grid(integers(-1, -1), integers(0, 9), 4, 2, True, Occupancy(2, 1))


def test_grid_arithmetic() -> None:
    a, b = common_grid(A, B)
    assert (a.frac, b.frac, a.divisor, b.divisor) == (4, 4, 6, 6)
    assert {type(value) for value in (*a.lo, *b.hi)} == {int}, "floating point would round"
    assert a.lo.tolist() == [-3 * 4 * 2, 8] and b.hi.tolist() == [0, 27] and (a.rounded, b.rounded) == (False, True)
    both = union(A, B)
    assert (both.lo.tolist(), both.hi.tolist(), both.frac, both.divisor) == ([-24, -3], [40, 27], 4, 6)
    assert both.rounded and union(B, A).rounded and not union(A, A).rounded
    whole = Grid(integers(1), integers(2), 0)
    near = Grid(integers(1), integers(2), 0, rounded=True)
    assert add(whole, near).rounded and add(near, whole).rounded
    total = add(A, B)
    assert (total.lo.tolist(), total.hi.tolist(), total.rounded) == ([-27, 5], [40, 43], True)
    assert not add(whole, whole).rounded and add(whole, B).rounded and add(B, whole).rounded


def test_grid_limits() -> None:
    assert (A.with_zero().lo.tolist(), A.with_zero().hi.tolist()) == ([-3, 0], [5, 2])
    assert (relu(A).lo.tolist(), relu(B).hi.tolist(), relu(B).occupancy) == ([0, 1], [0, 9], Occupancy(2, 1))
    assert relu(Grid(integers(-5), integers(-3), 0)).hi.tolist() == [0]
    assert (A.envelope().lo.tolist(), A.envelope().hi.tolist(), A.envelope().divisor) == ([-3], [5], 3)
    assert B.with_limits(B.lo, B.hi).rounded and not B.with_limits(B.lo, B.hi, False).rounded
    assert (A.bits, A.lowest, A.highest, A.signed, relu(A).signed) == (3, -3, 5, True, False)
    assert (A.describe(), B.at(4, 2).describe()) == ("ap_fixed<4,2> / 3", "ap_fixed<5,1> / 2")
    assert Grid(A.lo, A.hi, 2).describe() == "ap_fixed<4,2>"
    assert bits_of(integers(), integers(-4)) == 3 and bits_of(integers()) == 0
    shaped = B.reshape((2, 1), (2,))
    assert shaped.lo.shape == (2, 1) and shaped.occupancy == B.occupancy and shaped.rounded
    one = Grid(integers(1), integers(2), 0).reshape((3, 2), (6,))
    assert one.lo.shape == (1, 1) and Grid(integers(1), integers(2), 0).reshape((6,), (3, 2)).lo.shape == (1,)
    empty = Grid(integers(), integers(), 0)
    assert empty.reshape((0, 1), (0,)).lo.shape == (0, 1)
    assert (empty.lowest, empty.highest, empty.bits, str(empty.type)) == (0, 0, 0, "ap_ufixed<1,1>")
    full = Grid.of_type(FixedPointType(True, 4, 2), 3)
    assert (full.lo.tolist(), full.hi.tolist(), full.frac) == ([[[-8]]], [[[7]]], 2)
    single = relu(Grid(np.array(-1, dtype=object), np.array(2, dtype=object), 0))
    assert (single.lo.shape, single.lowest, single.highest) == ((), 0, 2), "not bare integers"
    assert not Grid(integers(2), integers(3), 0).signed
    assert str(Grid(integers(-4), integers(-4), 0).type) == "ap_fixed<3,3>"
    assert bound(integers()) == 0 and bound(integers(3, -4)) == 4


def test_sums_of_products() -> None:
    """Exact limits; partial sums have passed any of the terms; pixels that are not there give 0."""
    x = Grid(integers(2, -1), integers(3, 4), 0)
    w = integers(1, -2).reshape(2, 1)
    result = dot(x, w)
    assert (result.lo.tolist(), result.hi.tolist(), result.partial) == ([2 - 8], [3 + 2], 8)
    for sign, low, high in ((1, 0, 6), (-1, -6, 0)):
        scattered = dot(Grid(integers(2, 2), integers(3, 3), 0, occupancy=Occupancy(2, 1)), w * 0 + sign)
        assert (scattered.lo.tolist(), scattered.hi.tolist(), scattered.partial) == ([low], [high], 6)


@pytest.mark.parametrize(
    ("values", "numerators", "frac"),
    [([0.75, -2.0], [3, -8], 2), ([4.0, 12.0], [1, 3], -2), ([0.0], [0], 0), ([3.0, 2.0], [3, 2], 0), ([], [], 0)],
)
def test_constants(values: list[float], numerators: list[int], frac: int) -> None:
    grid = Grid.of_constant(np.array(values))
    assert (grid.lo.tolist(), grid.hi.tolist(), grid.frac) == (numerators, numerators, frac)


# ---- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "low", "high", "frac"),
    [("ap_fixed<4,2>", -8, 7, 2), ("ap_ufixed<4,-1>", 0, 15, 5), (" ap_fixed < 64 , 128 > ", -(2**63), 2**63 - 1, -64),
     ("ap_fixed<1,-128>", -1, 0, 129)],
)  # fmt: skip
def test_types(text: str, low: int, high: int, frac: int) -> None:
    kind = FixedPointType.parse(text)
    assert (kind.lowest, kind.highest, kind.frac) == (low, high, frac)


@pytest.mark.parametrize("text", ["ap_fixed<0,0>", "ap_fixed<65,0>", "ap_fixed<8,129>", "ap_fixed<8,-129>"])
def test_types_out_of_range(text: str) -> None:
    with pytest.raises(PrecisionError, match=r"'input 1'.*cannot read 'ap_fixed.*1 <= W <= 64"):
        FixedPointType.parse(text, "'input 1'")


def test_type_quantizes_to_its_grid() -> None:
    x = np.array([0.124, 0.126, 0.375, 0.625, -9.0, 9.0, np.nan, np.inf, -np.inf], np.float32)
    y = FixedPointType(True, 4, 2).quantize(x)
    assert y.tolist() == [0.0, 0.25, 0.5, 0.5, -2.0, 1.75, 0.0, 1.75, -2.0] and y.dtype == np.float32


def test_widths_of_formats() -> None:
    k, i, f = np.array([1, 1, 0, 0]), np.array([2, 3, -4, 1]), np.array([3, -1, 4, -2])
    form = QuantizerFormat(k, i, f, RoundingMode.RND, OverflowMode.SAT)
    assert form.widths.tolist() == [6, 3, 0, 0]


@pytest.mark.parametrize("overflow", list(OverflowMode))
@pytest.mark.parametrize("rounding", list(RoundingMode))
def test_quantize_and_its_limits_for_every_value(rounding: RoundingMode, overflow: OverflowMode) -> None:
    """All formats of few bits, on a grid four times as fine and over twice the range: limits are met exactly."""
    for k, i, f in (
        (0, 2, 1),
        (1, 2, 1),
        (1, 0, 2),
        (0, 0, 2),
        (1, -1, 3),
        (1, 3, -2),
        (0, 1, 1),
        (1, 1, -1),
        (0, 1, -1),
    ):
        values = np.arange(-80, 81) / 2.0 ** (f + 2) if f > 0 else np.arange(-80, 81) / 4
        y = quantize(values, np.array(k), np.array(i), np.array(f), rounding, overflow)
        steps = y * 2.0**f
        low, high = quantized_limits(None, k, i, f, rounding, overflow)
        assert (steps == np.round(steps)).all() and low <= steps.min() and steps.max() <= high
        if k + i + f <= 0:
            assert (low, high) == (0, 0) and not steps.any()
            continue
        width = k + max(i, -f) + f
        top = (1 << (width - k)) - 1
        bottom = (-top if overflow is OverflowMode.SAT_SYM else -top - 1) if k else 0
        rounded = np.array([round_fraction(Fraction(v) * Fraction(2) ** f, rounding) for v in values])
        want = rounded
        if overflow is OverflowMode.WRAP:
            want = (want - bottom) % (1 << width) + bottom
        elif overflow is not OverflowMode.WRAP_SM:
            want = np.clip(want, bottom, top)
        if overflow is not OverflowMode.WRAP_SM:
            np.testing.assert_array_equal(steps, want)
        assert (low, high) == (steps.min(), steps.max()), "every value of the format is reached, and none besides"
        saturates = overflow in (OverflowMode.SAT, OverflowMode.SAT_SYM)
        for first, last in combinations((0, 20, 60, 61, 63, 70, 76, 78, 80, 81, 84, 86, 87, 88, 90, 100, 140, 160), 2):
            part = steps[first : last + 1]
            ends = Fraction(values[first]), Fraction(values[last])
            low, high = quantized_limits(ends, k, i, f, rounding, overflow)
            assert low <= part.min() and part.max() <= high
            stays = bool((part == rounded[first : last + 1]).all())
            assert overflows(ends, k, i, f, rounding, overflow) is not stays
            assert not (saturates or stays) or (low, high) == (part.min(), part.max())


def test_nan_and_infinity_through_a_quantizer() -> None:
    x = np.array([np.nan, np.inf, -np.inf], np.float32)
    one, two = np.array(1), np.array(2)
    saturated = quantize(x, one, two, two, "RND", "SAT")
    assert np.isnan(saturated[0]) and saturated[1:].tolist() == [3.75, -4.0] and saturated.dtype == np.float32
    assert quantize(x, one, -two, one, "RND", "SAT").tolist() == [0, 0, 0], "a width of 0 bits"
    for mode in ("bad", "rnd"):
        with pytest.raises(ValueError, match=mode):
            quantize(x, one, two, two, mode, "SAT")


# ---- operators ------------------------------------------------------------------------------------------------------


@given(st.integers(1, 3), st.sampled_from([1, 2]), st.booleans(), seeds)
def test_convolution(slots: int, group: int, biased: bool, seed: int) -> None:
    """Tight: some taps, of as many as there are slots, reach each limit of a sum."""
    rng = np.random.default_rng(seed)
    lo, hi = integers(*rng.integers(-4, 2, 2)), integers(*rng.integers(2, 6, 2))
    w = rng.integers(-5, 6, (2, 2 // group, 1, 3)).astype(object)
    x = Grid(lo[None], hi[None], 3)
    grids = [x, None, Grid(w, w, 2)]
    bias = integers(*rng.integers(-9, 10, 2))
    proof = prove("SparseConv", [(None, slots, 2), (None, slots, 2), w.shape], grids + [Grid(bias, bias, 6)] * biased,
                  kernel_shape=(1, 3), dilations=(1, 1), group=group)  # fmt: skip
    least, most = [], []
    for f in range(2):
        channels = [f] if group == 2 else [0, 1]
        taps = [[sorted((int(w[f, n, 0, t] * lo[c]), int(w[f, n, 0, t] * hi[c]))) for n, c in enumerate(channels)]
                for t in range(3)]  # fmt: skip
        chosen = [[taps[t] for t in some] for k in range(min(slots, 3) + 1) for some in combinations(range(3), k)]
        least.append(min(sum(min(a, 0) for tap in some for a, _ in tap) for some in chosen))
        most.append(max(sum(max(b, 0) for tap in some for _, b in tap) for some in chosen))
    sums = integers(*least), integers(*most)
    finer = 2 if biased else 1  # the bias is on a grid twice as fine
    added = bias if biased else integers(0, 0)
    want = np.minimum(0, sums[0] * finer + added), np.maximum(0, sums[1] * finer + added)
    assert limits(proof) == (want[0].tolist(), want[1].tolist())
    (out,) = proof.outputs
    assert out is not None and (out.frac, out.divisor, out.rounded) == (6 if biased else 5, 1, False)
    assert proof.bits == max(bits_of(*(s * finer for s in sums)), out.bits, x.bits, bits_of(w))


def test_convolution_of_an_average_keeps_the_divisor() -> None:
    w = integers(1, 1).reshape(1, 1, 1, 2)
    x = Grid(integers(-1)[None], integers(2)[None], 0, 3)
    bias = Grid(integers(1), integers(1), 0)
    arguments = {"kernel_shape": (1, 2), "dilations": (1, 1), "group": 1}
    shapes = [(None, 2, 1), (None, 2, 2), w.shape, (1,)]
    proof = prove("SparseConv", shapes, [x, None, Grid(w, w, 0), bias], **arguments)
    (out,) = proof.outputs
    assert out is not None and (out.divisor, out.rounded, limits(proof)) == (3, True, ([0], [7]))
    assert prove("SparseConv", shapes, [None, None, Grid(w, w, 0)], **arguments).outputs == (None,)
    assert prove("SparseConv", shapes, [x, None, None], **arguments).outputs == (None,)


def test_table_of_a_convolution() -> None:
    """Kernel positions in raster order between two that lie outside the window, channels, filters."""
    w = np.arange(1, 49).reshape(4, 2, 2, 3).astype(object)
    x = Grid(integers(0)[None], integers(1)[None], 0)
    attributes = {"kernel_shape": (2, 3), "dilations": (1, 1), "group": 2}
    shapes = ((None, 5, 4), (None, 5, 2), w.shape)
    node = NodeContext("n", "SparseConv", attributes, shapes, (x, None, Grid(w, w, 1)), (None, None, w))
    rule = operators()["SparseConv"]
    (table, _) = rule.hls(node, rule.prove(node)).tables
    assert table.values.shape == (1 + 2 * 3 + 1, 2, 4) and not table.values[[0, -1]].any()
    assert all(table.values[1 + 3 * y + x, c, f] == w[f, c, y, x] for f, c, y, x in np.ndindex(w.shape))


@pytest.mark.parametrize(
    ("kernel", "slots", "low", "high", "frac", "divisor"),
    [((2, 2), 9, [-12, 0], [20, 12], 4, 1), ((2, 2), 3, [-9, 0], [15, 9], 4, 1), ((3, 3), 20, [-27, 0], [45, 27], 2, 9),
     ((2, 3), 20, [-18, 0], [30, 18], 3, 3), ((1, 1), 5, [-3, 0], [5, 3], 2, 1)],
)  # fmt: skip
def test_pooling(kernel: tuple[int, int], slots: int, low: list[int], high: list[int], frac: int, divisor: int) -> None:
    grid = Grid(integers(-3, 1)[None], integers(5, 3)[None], 2)
    shapes = [(None, slots, 2), (None, slots, 2)]
    arguments: dict[str, Any] = {"kernel_shape": kernel, "spatial_shape": (9, 9)}
    proof = prove("SparsePool", shapes, [grid, None], mode="average", **arguments)
    (out, none) = proof.outputs
    assert out is not None and none is None and limits(proof) == (low, high)
    assert (out.frac, out.divisor, out.rounded, proof.bits) == (frac, divisor, False, bits_of(integers(*low, *high)))
    third = prove("SparsePool", shapes, [Grid(grid.lo, grid.hi, 2, 3), None], mode="average", **arguments)
    assert third.outputs[0] is not None and third.outputs[0].rounded and third.outputs[0].divisor == 3 * divisor
    mode = b"max".decode()  # as it comes from a file: equal, not the same
    largest = prove("SparsePool", shapes, [grid, None], mode=mode, **arguments)
    assert limits(largest) == ([-3, 0], [5, 3]) and largest.bits == 3 and largest.outputs[1] is None
    assert prove("SparsePool", shapes, [None, None], mode="max", **arguments).outputs == (None, None)


def test_reduction_and_scatter() -> None:
    image = Grid(np.array([[[1, -2]], [[3, 4]]], dtype=object), np.array([[[9, 5]], [[8, 6]]], dtype=object), 1)
    proof = prove("InputReduce", [(None, 2, 1, 2)], [image], n_max_pixels=3, threshold=0.0)
    assert limits(proof) == ([0, -2], [9, 6]) and proof.bits == 4 and proof.outputs[1] is None
    assert proof.outputs[0] is not None and proof.outputs[0].lo.shape == (1, 2)
    one = Grid(np.array([[[2]]], dtype=object), np.array([[[3]]], dtype=object), 1)
    assert limits(prove("InputReduce", [(None, 2, 1, 2)], [one], n_max_pixels=3, threshold=0.0)) == ([0, 0], [3, 3])
    assert prove("InputReduce", [(None, 2, 1, 2)], [None], n_max_pixels=3, threshold=0.0).outputs == (None, None)
    features = Grid(integers(1, -4, 0)[None], integers(6, 2, 3)[None], 3)
    shapes = [(None, 7, 3), (None, 7, 2)]
    scattered = prove("SparseToDense", shapes, [features, None], spatial_shape=(3, 5))
    (dense,) = scattered.outputs
    assert dense is not None and (dense.lo.shape, dense.occupancy) == ((1, 1, 3), Occupancy(7, 3))
    assert limits(scattered) == ([0, -4, 0], [6, 2, 3]) and scattered.bits == 3
    assert prove("SparseToDense", shapes, [None, None], spatial_shape=(3, 5)).outputs == (None,)


def test_shapes() -> None:
    shapes = {
        "InputReduce": ([("B", 4, 5, 2)], {"n_max_pixels": 3}, (("B", 3, 2), ("B", 3, 2))),
        "SparseConv": ([("B", 3, 2), ("B", 3, 2), (7, 2, 1, 1)], {"group": 1, "kernel_shape": (1, 1)}, (("B", 3, 7),)),
        "SparsePool": ([("B", 3, 5), ("B", 3, 2)], {}, (("B", 3, 5), ("B", 3, 2))),
        "SparseToDense": ([("B", 3, 5), ("B", 3, 2)], {"spatial_shape": (8, 9)}, (("B", 8, 9, 5),)),
        "FixedPointQuant": ([("B", 3, 5), (), (), ()], {}, (("B", 3, 5),)),
    }
    for op, (given_shapes, attributes, want) in shapes.items():
        assert operators()[op].output_shapes(given_shapes, attributes) == want


@pytest.mark.parametrize(
    ("features", "weights", "bias", "group", "fits"),
    [
        ((2,), (7, 2, 1, 3), None, 1, True),
        ((2,), (7, 2, 1, 3), (7,), 1, True),
        ((2,), (7, 2, 1, 3), (), 1, True),
        ((600,), (9, 300, 1, 3), (9,), 2, False),
        ((600,), (600, 300, 1, 3), (600,), 2, True),
        ((2,), (7, 2, 1, 3), (5,), 1, False),
        ((3,), (7, 2, 1, 3), None, 1, False),
        ((2,), (7, 2, 2, 3), None, 1, False),
        ((2,), (7, 2, 1, 1), None, 1, False),
        ((4,), (7, 2, 1, 3), None, 2, False),
        ((2,), (0, 2, 1, 3), None, 1, False),
        ((0,), (7, 0, 1, 3), None, 1, False),
        (("C",), (7, 2, 1, 3), None, 1, True),
        (("C",), (7, 0, 1, 3), None, 1, False),
        ((2,), ("F", 2, 1, 3), None, 1, True),
        ((2,), ("F", 3, 1, 3), None, 1, False),
        ((2,), (7, "G", 1, 3), None, 1, True),
        ((2,), (7, 2, "H", 3), None, 1, True),
        ((2,), (7, 2, "H", 4), None, 1, False),
    ],
)
def test_shapes_of_convolutions(features: Any, weights: Any, bias: Any, group: int, fits: bool) -> None:
    """What does not fit is refused; names of dimensions may be any number."""
    shapes = [("B", 3, *features), ("B", 3, 2), weights, *([] if bias is None else [bias])]
    rule, attributes = operators()["SparseConv"], {"group": group, "kernel_shape": (1, 3)}
    if fits:
        assert rule.output_shapes(shapes, attributes) == (("B", 3, weights[0]),)
    else:
        with pytest.raises(ValueError, match=re.escape(f"features {list(shapes[0])}, W {list(weights)}, bias")):
            rule.output_shapes(shapes, attributes)
