"""The quantizer kernels' configuration, run as `hls_backend/kernels/fixed_point_quant.h` says, in Python's integers."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from proofs import round_fraction
from sparse_qonnx.errors import PrecisionError
from sparse_qonnx.fixed import OverflowMode, RoundingMode
from sparse_qonnx.grid import Grid, NodeContext
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.ops import operators
from sparse_qonnx.ops._quantizer import exact_reciprocal, quantizer_call
from strategies import seeds

Array = NDArray[Any]
RULE = operators()["FixedPointQuant"]

N, CHANNELS, HEIGHT, WIDTH = 5, 3, 2, 2
MODES = st.tuples(st.sampled_from(list(RoundingMode)), st.sampled_from(["WRAP", "SAT", "SAT_SYM"]).map(OverflowMode))


def fitted(value: int, width: int, signed: bool, overflow: str) -> int:
    """An integer brought into a format of `width` bits, the sign included."""
    top = (1 << (width - signed)) - 1
    bottom = (-top if overflow == "SAT_SYM" else -top - 1) if signed else 0
    if overflow == "WRAP":
        return (value - bottom) % (1 << width) + bottom
    return min(max(value, bottom), top)


def kernel(call: HlsCall, m: int, place: tuple[int, ...], out_frac: int) -> Fraction:
    """What the kernel gives for the numerator m, read at a place of the format tables."""
    config = call.config
    tables = {t.name: t.values[place] for t in call.tables}
    shift, width, signed = (
        int(tables.get(name, config.get(key, 0)))
        for name, key in (("shift", "shift"), ("width", "width"), ("sign", "is_signed"))
    )
    n = m << config["up_shift"]
    divisor, multiplier, down = config["divisor"], config["multiplier"], config["multiplier_shift"]
    assert abs(n) // divisor == abs(n) * multiplier >> down, "the multiplier is the reciprocal"
    rounded = round_fraction(Fraction(n, divisor * 2**shift), RoundingMode(config["rounding_mode"].name))
    if width == 0:
        return Fraction(0)
    overflow = config["overflow_mode"].name
    value = rounded if overflow == "NONE" else fitted(rounded, width, bool(signed), overflow)
    assert shift >= config["align"].value, "an output moves left onto the grid of the result"
    return Fraction(value << (shift - config["align"].value)) / Fraction(2) ** out_frac


def wanted(value: Fraction, k: int, i: int, f: int, rounding: RoundingMode, overflow: OverflowMode) -> Fraction:
    """The quantizer's own definition, in fractions."""
    if k + i + f <= 0:
        return Fraction(0)
    steps = round_fraction(value * Fraction(2) ** f, rounding)
    width = k + max(i, -f) + f
    return Fraction(fitted(steps, width, bool(k), overflow.value)) / Fraction(2) ** f


def context(
    formats: tuple[Array, ...],
    grid: Grid,
    rounding: str,
    overflow: str,
    coords: bool,
    shape: tuple[int, ...] = (N, CHANNELS),
) -> NodeContext:
    shapes: tuple[Any, ...] = ((None, *shape), *(p.shape for p in formats))
    attributes = {"rounding_mode": rounding, "overflow_mode": overflow}
    constants: tuple[Array | None, ...] = (None, *formats)
    grids: tuple[Grid | None, ...] = (grid, None, None, None)
    if coords:
        shapes, constants, grids = (*shapes, (None, N, 2)), (*constants, None), (*grids, None)
    return NodeContext("q", "FixedPointQuant", attributes, shapes, grids, constants, (shapes[0],))


SHAPES = [(shape, False) for shape in ((), (CHANNELS,), (N, CHANNELS), (1, CHANNELS), (1, N, CHANNELS), (1, 1, 1))]
MAPS = [(shape, True) for shape in ((HEIGHT, WIDTH, CHANNELS), (HEIGHT, 1, 1), (1, WIDTH, 1), (WIDTH, CHANNELS), ())]


@given(MODES, st.sampled_from(SHAPES + MAPS), st.booleans(), st.integers(-2, 4), st.sampled_from([1, 1, 3, 9]),
       st.booleans(), seeds)  # fmt: skip
def test_kernel_gives_what_the_quantizer_says(
    modes: tuple[RoundingMode, OverflowMode], parameters: tuple[tuple[int, ...], bool], alike: bool, frac: int,
    divisor: int, narrow: bool, seed: int,
) -> None:  # fmt: skip
    """Every numerator between the limits, in every format; the proven limits and the proven grid hold the result."""
    shape, at_pixels = parameters
    rng = np.random.default_rng(seed)
    low, high = (-3, 4) if narrow else (-40, 50)
    lo, hi = (np.array([[x, x // 2, x]], dtype=object) for x in (low, high))
    formats = tuple(
        rng.integers(a, b, () if alike else shape) + np.zeros(shape, int) for a, b in ((0, 2), (-2, 5), (-2, 5))
    )
    grid = Grid(lo, hi, frac, divisor)
    node = context(formats, grid, modes[0].value, modes[1].value, at_pixels)
    proof = RULE.prove(node)
    (out, *_) = proof.outputs
    assert out is not None and out.divisor == 1
    call = RULE.hls(node, proof)
    assert call.inputs == ((0, 4) if call.function == "fixed_point_quant_by_pixel" else (0,))
    full = tuple(np.asarray(p).reshape((1,) * (3 - np.ndim(p)) + np.shape(p)) for p in formats)
    spots = np.ndindex(*full[0].shape)
    reached: dict[int, set[Fraction]] = {c: set() for c in range(CHANNELS)}
    for spot in spots:
        k, i, f = (int(p[spot]) for p in full)
        for c in range(CHANNELS) if full[0].shape[2] == 1 else [spot[2]]:
            for m in {low, -1, 0, 1, 2, high} | set(rng.integers(low, high + 1, 6).tolist()):
                if not lo[0, c] <= m <= hi[0, c]:
                    continue
                place = _place(call, spot, c)
                value = Fraction(m, divisor) / Fraction(2) ** frac
                got = kernel(call, m, place, out.frac)
                assert got == wanted(value, k, i, f, *modes)
                limits = [np.broadcast_to(a, (N, CHANNELS)) for a in (out.lo, out.hi)]
                rows = range(N) if at_pixels or full[0].shape[1] == 1 else [spot[1]]
                steps = got * Fraction(2) ** out.frac
                assert all(limits[0][row, c] <= steps <= limits[1][row, c] for row in rows) and steps.denominator == 1
                reached[c].add(got)
    assert proof.bits >= out.bits


def _place(call: HlsCall, spot: tuple[int, ...], channel: int) -> tuple[int, ...]:
    """Where the tables are read for a format's place `[H, W, C]` and a channel."""
    if not call.tables:
        return ()
    shape = call.tables[0].values.shape
    assert all(t.values.shape == shape and t.is_integer for t in call.tables)
    if len(shape) == 3:
        assert shape == tuple(call.config[key] for key in ("map_height", "map_width", "map_channels"))
        return tuple(min(p, s - 1) for p, s in zip((*spot[:2], channel), shape, strict=True))
    return (channel,) if len(shape) == 1 else (spot[1], channel)


def test_shapes_of_the_kernels() -> None:
    """One format; one a channel; one a value; one a pixel."""
    one = Grid(np.array([[-4]], dtype=object), np.array([[4]], dtype=object), 2)
    bits = np.array([1, 2, 3])
    k = np.array(1)

    def call(i: Array, coords: bool = False) -> HlsCall:
        node = context((k, i, i), one, "RND", "WRAP", coords)
        return RULE.hls(node, RULE.prove(node))

    uniform = call(np.array(2))
    assert (uniform.function, uniform.tables) == ("", ())
    assert uniform.config["n_values"] == N * CHANNELS
    assert (uniform.config["shift"], uniform.config["width"], uniform.config["is_signed"]) == (0, 1, True)
    by_channel = call(bits)
    assert (by_channel.config["n_rows"], by_channel.config["n_channels"]) == (N, CHANNELS)
    assert {t.name: t.values.tolist() for t in by_channel.tables}["shift"] == [2, 1, 0]
    for squeezed in (call(bits[None]), call(bits[None, None])):
        assert [t.values.tolist() for t in squeezed.tables] == [t.values.tolist() for t in by_channel.tables]
    by_value = call(np.array([bits, bits, bits, bits, bits[::-1]]))
    assert (by_value.config["n_rows"], by_value.config["n_channels"]) == (1, N * CHANNELS)
    by_pixel = call(bits.reshape(3, 1, 1), coords=True)
    assert by_pixel.function == "fixed_point_quant_by_pixel" and by_pixel.inputs == (0, 4)
    assert [by_pixel.config[key] for key in ("map_height", "map_width", "map_channels")] == [3, 1, 1]
    assert [by_pixel.config[key] for key in ("n_slots", "n_channels")] == [N, CHANNELS]
    by_row = call(np.array([bits, bits[::-1]]), coords=True)
    assert [by_row.config[key] for key in ("map_height", "map_width", "map_channels")] == [1, 2, 3]
    assert by_channel.config["max_width"] == 1, "nothing overflows: one bit says that there is any"
    wide = Grid(one.lo * 100, one.hi * 100, 2)
    node = context((k, bits, bits), wide, "RND", "WRAP", False)
    overflowing = RULE.hls(node, RULE.prove(node))
    assert overflowing.config["max_width"] == 7 and overflowing.config["overflow_mode"].name == "WRAP"


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 4, 3)])
def test_channels_are_the_last_axis(shape: tuple[int, ...]) -> None:
    grid = Grid(np.full((1,) * len(shape), -4, object), np.full((1,) * len(shape), 4, object), 2)
    node = context((np.array(1), np.array(3), np.array([1, 2, 3])), grid, "RND", "WRAP", False, shape)
    config = RULE.hls(node, RULE.prove(node)).config
    assert (config["n_rows"], config["n_channels"]) == (int(np.prod(shape)) // 3, 3)


def test_nothing_overflows_where_each_channel_fits_its_own_format() -> None:
    """At pixels any value may meet any format."""
    lo, hi = np.array([[-40, -4]], dtype=object), np.array([[40, 4]], dtype=object)
    formats = np.array(1), np.array([6, 3]), np.array(0)
    for coords, overflow in ((False, "NONE"), (True, "SAT")):
        node = context(formats, Grid(lo, hi, 0), "RND", "SAT", coords, (N, 2))
        assert RULE.hls(node, RULE.prove(node)).config["overflow_mode"].name == overflow


def test_formats_without_bits() -> None:
    """They shift nothing out and ask for no finer steps."""
    one = Grid(np.array([[-4]], dtype=object), np.array([[4]], dtype=object), 2)
    node = context((np.array([1, 1, 0]), np.array([3, -8, -9]), np.array([1, 7, 9])), one, "RND", "WRAP", False)
    call = RULE.hls(node, RULE.prove(node))
    tables = {t.name: t.values.tolist() for t in call.tables}
    assert tables == {"shift": [1, 0, 0], "width": [1, 0, 0], "sign": [1, 0, 0]} and call.config["up_shift"] == 0
    assert call.config["overflow_mode"].name == "NONE"
    node = context((np.array(1), np.array(-8), np.array(7)), one, "RND", "WRAP", False)
    dead = RULE.hls(node, RULE.prove(node)).config
    assert (dead["shift"], dead["width"], dead["is_signed"], dead["up_shift"]) == (0, 0, False, 0)


@given(st.integers(1, 200), st.integers(1, 12))
def test_reciprocals_are_exact(divisor: int, bits: int) -> None:
    multiplier, shift = exact_reciprocal(divisor, bits)
    assert all(n // divisor == n * multiplier >> shift for n in range(1 << bits))


@pytest.mark.parametrize(("divisor", "bits", "want"), [(1, 9, (1, 0)), (2, 4, (1, 1)), (8, 5, (1, 3)), (3, 2, (3, 3))])
def test_reciprocals_are_short(divisor: int, bits: int, want: tuple[int, int]) -> None:
    assert exact_reciprocal(divisor, bits) == want


@pytest.mark.parametrize(("bits", "fits"), [(56, True), (70, False)])
def test_a_division_that_needs_a_wide_constant_is_refused(bits: int, fits: bool) -> None:
    grid = Grid(np.array([[0]], dtype=object), np.array([[(1 << bits) - 1]], dtype=object), 0, 25)
    node = context((np.array(1), np.array(40), np.array(0)), grid, "RND", "SAT", False)
    formats = tuple(np.array(v) for v in (1, 40, 0))
    out = Grid(np.array([[0]], dtype=object), np.array([[1]], dtype=object), 0)

    def make() -> HlsCall:
        return quantizer_call(node, grid, formats, (RoundingMode.RND, OverflowMode.SAT), out)  # type: ignore[arg-type]

    if fits:
        assert make().config["divisor"] == 25
    else:
        with pytest.raises(PrecisionError, match=r"division by 25 of 70 bits needs a constant of \d+ bits.*64 bits"):
            make()
