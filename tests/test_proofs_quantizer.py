"""What quantizers prove: limits, grids, bits on the way, and the types that qonnx is told."""

from __future__ import annotations

import itertools
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from proofs import integers, limits, prove, round_fraction
from sparse_qonnx.errors import InputDataError, PrecisionError
from sparse_qonnx.fixed import RoundingMode, quantize
from sparse_qonnx.grid import Grid, NodeProof, Occupancy
from sparse_qonnx.ops import operators

Array = NDArray[Any]


def quantizer(source: Grid | None, k: Any, i: Any, f: Any, shape: Any = (None, 2, 2), **modes: str) -> NodeProof:
    formats = tuple(np.asarray(p) for p in (k, i, f))
    shapes = [shape, *(p.shape for p in formats)]
    return prove("FixedPointQuant", shapes, [source, None, None, None], (None, *formats),
                 **{"rounding_mode": "RND", "overflow_mode": "WRAP", **modes})  # fmt: skip


def test_quantizer_proof() -> None:
    source = Grid(integers(-6, 0)[None], integers(6, 12)[None], 2, occupancy=Occupancy(1, 2))
    proof = quantizer(source, 1, 3, [1, 3])
    (out,) = proof.outputs
    assert out is not None and (out.frac, out.occupancy) == (3, Occupancy(1, 2))
    assert limits(proof) == ([-12, 0], [12, 24]), "the first channel in steps of 1/2, on the grid of the second"
    assert limits(quantizer(source, 0, 1, [1, 3], overflow_mode="SAT")) == ([0, 0], [12, 15])
    assert limits(quantizer(None, 1, [1, 2], 0)) == ([-2, -4], [1, 3])
    assert limits(quantizer(source, 1, [-9, 3], 0)) == ([0, 0], [0, 3]), "no bits: 0"
    dead = quantizer(source, 0, 0, 0)
    assert dead.outputs[0] is not None and dead.outputs[0].frac == 0 and limits(dead) == ([0, 0], [0, 0])
    assert quantizer(Grid(integers(1)[None], integers(2)[None], 0), [[[1, 1]]], 2, 0).outputs[0] is not None


@pytest.mark.parametrize("shape", [(2,), (3, 1, 2)])
def test_quantizer_of_a_dense_tensor(shape: tuple[int, ...]) -> None:
    """Limits have the rank of a sample, whatever the ranks of the formats."""
    source = Grid(integers(-9, 2).reshape((1,) * (len(shape) - 1) + (2,)), integers(9, 3).reshape(-1), 1)
    for i in (np.array(3), np.array([3, 3]), np.full((1, *shape), 3), np.full((1,) * (len(shape) + 1), 3)):
        (out,) = quantizer(source, 1, i, 0, shape=(None, *shape), rounding_mode="TRN").outputs
        assert out is not None and out.lo.ndim == out.hi.ndim == len(shape)
        lo, hi = (np.broadcast_to(a, shape).reshape(-1, 2).tolist() for a in (out.lo, out.hi))
        assert all(row == [-5, 0] for row in lo) and all(row == [4, 1] for row in hi)


def test_formats_that_differ_from_event_to_event() -> None:
    """Nothing is dropped of them: the result has no grid of one sample."""
    source = Grid(integers(-9), integers(9), 1)
    (out,) = quantizer(source, 1, [[3, 3], [0, 0]], 0, shape=(2, 2)).outputs
    assert out is not None and out.lo.shape == (2, 2)


def test_quantizer_at_pixels() -> None:
    """The widest limits over all pixels, channel by channel."""
    i = np.array([[[0, 0], [0, 2]], [[1, 0], [0, 0]]])
    source = Grid(integers(-99, -99)[None], integers(99, 99)[None], 1)
    coords = (None, 7, 2)

    def at_pixels(x: Any) -> NodeProof:
        return prove("FixedPointQuant", [x, (), (2, 2, 2), (), coords], [source] + [None] * 4,
                     (None, np.array(1), i, np.array(0), None), rounding_mode="RND", overflow_mode="SAT")  # fmt: skip

    (out,) = at_pixels((None, 7, 2)).outputs
    assert out is not None and (out.lo.tolist(), out.hi.tolist()) == ([[-2, -4]], [[1, 3]])
    assert at_pixels((None, 2)).outputs == at_pixels((None, 2, 2, 2)).outputs == (None,), "no pixels in such a tensor"


def test_formats_without_bits_make_nothing_finer() -> None:
    """Neither the grid of the result nor the bits on the way."""
    source = Grid(integers(-3, -3)[None], integers(3, 3)[None], 1)
    for k, i, f in ((0, -9, 9), (1, -10, 9), (0, 0, 0)):
        proof = quantizer(source, [1, k], [3, i], [1, f], overflow_mode="WRAP")
        assert proof.outputs[0] is not None and proof.outputs[0].frac == 1
        assert limits(proof) == ([-3, 0], [3, 0]) and proof.bits == 7
    assert quantizer(source, 0, [-9, -3], [9, 2]).bits == 2, "the bits of the input"
    assert quantizer(None, 1, 2, 3).bits == 6
    assert quantizer(None, 1, -9, 3).bits == 0
    one_bit = quantizer(source, 1, -3, 3).outputs[0]
    assert one_bit is not None and one_bit.frac == 3 and one_bit.lo.tolist() == [[-1, -1]]
    nothing = quantizer(source, 1, np.zeros((0, 2), int), 1, shape=(0, 2)).outputs[0]
    assert nothing is not None and nothing.lo.size == 0


def test_datatypes_for_qonnx() -> None:
    """The widest of the formats; floating point where they are not known."""
    constants: dict[str, Array | None] = {"k": np.array([0, 1]), "i": np.array([3, -1]), "f": np.array([3, 8])}
    model = SimpleNamespace(get_initializer=constants.get)

    def datatype(*inputs: str) -> str:
        node = helper.make_node("FixedPointQuant", ["x", *inputs], ["y"])
        return str(operators()["FixedPointQuant"].output_datatypes([], node, model)[0])

    assert datatype("k", "i", "f") == datatype("k", "i", "f", "coords") == "FIXED<12,4>"
    constants["k"] = np.array(0)
    assert datatype("k", "i", "f") == "FIXED<12,4>", "qonnx has no fixed-point type without a sign"
    for missing in ("k", "i", "f"):
        assert datatype(*(n if n != missing else "unknown" for n in "kif")) == "FLOAT32"


@pytest.mark.parametrize(
    ("divisor", "frac", "formats", "overflow", "bits"),
    [
        (1, 2, (1, 3, 1), "WRAP", 7),
        (1, 2, (1, 3, 4), "WRAP", 10),
        (1, 2, (0, 9, 0), "WRAP", 11),
        (1, 2, (1, 3, 4), "SAT", 8),
        (1, 2, (1, 1, 0), "SAT", 5),
        (1, 2, (1, 0, 0), "SAT", 5),
        (1, 2, (0, 0, 5), "SAT", 6),
        (1, 9, (1, -4, 8), "SAT", 6),
        (1, -2, (1, 9, -4), "WRAP", 8),
        (1, -2, (1, 9, -1), "SAT", 7),
        (3, -1, (0, 9, -1), "WRAP", 8),
        (9999, 0, (1, 3, 4), "WRAP", 12),
        (3, 9, (1, 9, 7), "WRAP", 18),
        (3, 2, (1, 3, 4), "WRAP", 10),
        (3, 2, (1, 3, -2), "WRAP", 8),
        (9, 8, (1, 3, 0), "SAT", 8),
        (3, 0, (1, 1, 0), "SAT", 7),
    ],
)
def test_bits_on_the_way(divisor: int, frac: int, formats: tuple[int, int, int], overflow: str, bits: int) -> None:
    """In words: half a step more for rounding, the offset of the range for wrapping, three for a quotient in range."""
    source = Grid(integers(-20)[None], integers(20)[None], frac, divisor)
    assert quantizer(source, *formats, shape=(None, 2, 1), overflow_mode=overflow).bits == bits


@pytest.mark.parametrize("divisor", [5, 36])
@pytest.mark.parametrize("rounding", [mode.value for mode in RoundingMode])
@pytest.mark.parametrize("overflow", ["SAT", "WRAP", "WRAP_SM"])
def test_quotients_are_quantized_as_if_they_were_exact(divisor: int, rounding: str, overflow: str) -> None:
    """Every numerator that float16 has bits for by the proof, against exact fractions."""
    for frac, k, i, f in itertools.product((0, 3), (1,), (1, 3), (0, 2)):
        form = tuple(np.array(p) for p in (k, i, f))
        largest = 1
        while needed(divisor, 2 * largest + 1, frac, form, overflow) <= HALF_BITS:
            largest = 2 * largest + 1
        numerators = np.arange(-largest, largest + 1)
        got = quantize((numerators * 2.0**-frac).astype(np.float16) / np.float16(divisor), *form, rounding, overflow)
        exact = [Fraction(int(m), divisor) / 2**frac for m in numerators]
        want = [quantized(value, k, i, f, RoundingMode(rounding), overflow) for value in exact]
        np.testing.assert_array_equal(got.astype(np.float64), want, err_msg=f"{frac=} {k=} {i=} {f=} {largest=}")


def test_quotients_of_as_many_bits_as_there_are_cross_ties() -> None:
    numerators = np.arange(2**HALF_BITS)
    got = np.floor(numerators.astype(np.float16) / np.float16(5) + np.float16(0.5))
    assert (got != (2 * numerators + 5) // 10).any(), "the margin is needed"
    few = np.arange(2 ** (HALF_BITS - 3))
    assert (np.floor(few.astype(np.float16) / np.float16(5) + np.float16(0.5)) == (2 * few + 5) // 10).all()


HALF_BITS = 11
"""Bits of float16's significand: few enough to try every number."""


def needed(divisor: int, largest: int, frac: int, form: tuple[Array, ...], overflow: str) -> int:
    source = Grid(integers(-largest), integers(largest), frac, divisor)
    return quantizer(source, *form, shape=(None, 1), overflow_mode=overflow).bits


def quantized(value: Fraction, k: int, i: int, f: int, rounding: RoundingMode, overflow: str) -> float:
    """In words: round to steps; then saturate, start anew, or be mirrored at the ends of the range."""
    if k + i + f <= 0:
        return 0.0
    steps, width = value * Fraction(2) ** f, k + max(i, -f) + f
    high = 2 ** (width - k) - 1
    low = {"SAT_SYM": -high}.get(overflow, -high - 1) * k
    whole = round_fraction(steps, rounding)
    if overflow == "WRAP":
        whole = (whole - low) % 2**width + low
    elif overflow == "WRAP_SM":
        return float(quantize(np.array(float(value)), *map(np.array, (k, i, f)), rounding.value, overflow))
    else:
        whole = min(max(whole, low), high)
    return float(whole * Fraction(2) ** -f)


def test_powers_of_two_that_a_quantizer_computes_with() -> None:
    source = Grid(integers(-20)[None], integers(20)[None], 2)
    for formats, exponent in (
        ((1, 3, 4), 5),
        ((1, 127, 0), 128),
        ((1, -9, 12), 13),
        ((1, 12, -9), 13),
        ((1, -9, 3), 1),
    ):
        assert quantizer(source, *formats).exponent == exponent


def test_parameters_that_are_no_bit_counts() -> None:
    source = Grid(integers(0)[None], integers(1)[None], 0)
    for value in (0.5, np.nan, np.inf, 129, -129):
        with pytest.raises(InputDataError, match=r"node 'n' .*'integer_bits' holds values that are no bit counts.*128"):
            quantizer(source, 1, float(value), 1)
    assert quantizer(source, 1, 128, 1).outputs[0] is not None
    with pytest.raises(PrecisionError, match=r"'signed' is not a constant"):
        prove("FixedPointQuant", [(None, 1)] * 4, [source] * 4, (None,) * 4, rounding_mode="RND", overflow_mode="SAT")
