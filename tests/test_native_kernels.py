"""Every native kernel against the NumPy reference: the same values, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qonnx.custom_op.general.intquant import int_quant

from native import QONNX, Array, assert_same, model, requires_library, run, session, sparse_map, spoil
from sparse_qonnx.fixed import OverflowMode, RoundingMode
from sparse_qonnx.ops.fixed_point_quant import NO_COORDS, FixedPointQuant
from sparse_qonnx.ops.input_reduce import InputReduce
from sparse_qonnx.ops.sparse_conv import SparseConv
from sparse_qonnx.ops.sparse_pool import SparsePool
from sparse_qonnx.ops.sparse_to_dense import SparseToDense

pytestmark = requires_library

SEEDS = st.integers(0, 2**32 - 1).map(np.random.default_rng)
DTYPES = st.sampled_from([np.float32, np.float64])
BATCH = st.integers(0, 4)
SIDE = st.integers(1, 14)


@given(SEEDS, DTYPES, BATCH, SIDE, st.integers(1, 90), st.integers(1, 3), st.integers(1, 300), st.floats(0, 1))
def test_input_reduce(
    rng: np.random.Generator, dtype: Any, batch: int, height: int, width: int, channels: int, n: int, occupancy: float
) -> None:
    threshold = 0.25  # many pixels are exactly there, and none of those is kept
    x = rng.integers(-4, 5, (batch, height, width, channels)) / 8
    x = spoil(rng, (x * (rng.random(x.shape) < occupancy)).astype(dtype))
    attributes = {"n_max_pixels": n, "threshold": threshold}
    assert_same(run("InputReduce", [x], **attributes), InputReduce.compute(x, **attributes))


@pytest.mark.parametrize("shape", [(2, 0, 3, 1), (2, 3, 0, 1), (0, 3, 3, 2), (1, 1, 1, 1), (2, 3, 3, 0)])
def test_input_reduce_degenerate(shape: tuple[int, ...]) -> None:
    x = np.ones(shape, np.float32)
    attributes = {"n_max_pixels": 4, "threshold": 0.0}
    assert_same(run("InputReduce", [x], **attributes), InputReduce.compute(x, **attributes))


def test_input_reduce_threshold_is_compared_in_the_type_of_the_image() -> None:
    threshold = float(np.float32(0.1))
    x = np.array([threshold, np.nextafter(threshold, 1), 0.1, 0.2]).reshape(1, 2, 2, 1)
    features, _ = run("InputReduce", [x], n_max_pixels=4, threshold=0.1)
    assert features.ravel().tolist() == [np.nextafter(threshold, 1), 0.2, 0.0, 0.0]


KERNEL_SIDES = st.one_of(st.integers(1, 9), st.just(31))


@given(
    rng=SEEDS,
    dtype=DTYPES,
    batch=BATCH,
    slots=st.sampled_from([0, 1, 5, 20, 47, 48, 49, 130]),
    image=st.tuples(SIDE, SIDE),
    kernel=st.tuples(KERNEL_SIDES, KERNEL_SIDES),
    dilations=st.tuples(st.sampled_from([1, 1, 2, 3]), st.sampled_from([1, 1, 2])),
    groups=st.sampled_from([1, 1, 1, 2, 3]),
    group_channels=st.integers(1, 6),
    group_filters=st.sampled_from([1, 2, 3, 4, 5, 16, 21]),
    with_bias=st.booleans(),
    constant=st.booleans(),
    raster=st.booleans(),
    spoiled=st.booleans(),
)
def test_sparse_conv(
    rng: np.random.Generator,
    dtype: Any,
    batch: int,
    slots: int,
    image: tuple[int, int],
    kernel: tuple[int, int],
    dilations: tuple[int, int],
    groups: int,
    group_channels: int,
    group_filters: int,
    with_bias: bool,
    constant: bool,
    raster: bool,
    spoiled: bool,
) -> None:
    features, coords = sparse_map(rng, batch, slots, image, groups * group_channels, dtype, raster)
    weights = (rng.integers(-4, 5, (groups * group_filters, group_channels, *kernel)) / 2).astype(dtype)
    bias = (rng.integers(-4, 5, groups * group_filters) / 2).astype(dtype) if with_bias else None
    if spoiled:
        odd = rng.choice(np.array([np.nan, np.inf, -np.inf, -0.0]), features.shape)
        features = np.where((rng.random(features.shape) < 0.05) & coords.any(2, keepdims=True), odd, features)
        features = features.astype(dtype)
    attributes = {"kernel_shape": list(kernel), "dilations": list(dilations), "group": groups}
    inputs = [features, coords, weights, bias]
    with np.errstate(invalid="ignore"):
        expected = SparseConv.compute(*inputs, **attributes)
    assert_same(run("SparseConv", inputs, (2, 3) if constant else (), **attributes), expected)


def test_sparse_conv_defaults_and_weights_that_are_not_finite() -> None:
    features = np.array([[[1.0], [0.0], [2.0]]], np.float32)
    coords = np.array([[[1, 1], [1, 2], [5, 5]]], np.int64)
    weights = np.full((1, 1, 3, 3), np.inf, np.float32)
    with np.errstate(invalid="ignore"):
        expected = SparseConv.compute(features, coords, weights, kernel_shape=[3, 3], dilations=[1, 1], group=1)
    assert np.isnan(expected[0]).sum() == 2  # 0 * inf, where a zero pixel takes part
    assert_same(run("SparseConv", [features, coords, weights], kernel_shape=[3, 3]), expected)


@given(SEEDS, st.sampled_from([3, 100]), st.sampled_from([1, 2]))
def test_sparse_conv_takes_any_coordinate(rng: np.random.Generator, slots: int, dilation: int) -> None:
    """There is no image to lie outside of; what cannot be a neighbour adds nothing, and memory stays safe."""
    limits = np.iinfo(np.int64)
    ends = np.array([limits.min, limits.max, limits.min + 1, -1, 1, 2**31, 2**32 + 1, -(2**31)])
    coords = rng.choice(ends, (2, slots, 2))
    features = np.ones((2, slots, 2), np.float32)
    weights = np.ones((3, 2, 5, 5), np.float32)
    (out,) = run("SparseConv", [features, coords, weights], kernel_shape=[5, 5], dilations=[dilation, dilation])
    assert np.isfinite(out).all()
    far = np.array([[[2**40, 5], [2**40, 6], [-(2**40), 5]]], np.int64)
    (out,) = run("SparseConv", [features[:1, :3], far, weights], kernel_shape=[5, 5])
    assert out[0, :, 0].tolist() == [4.0, 4.0, 2.0]


@given(
    SEEDS,
    DTYPES,
    BATCH,
    st.sampled_from([0, 1, 7, 60]),
    st.tuples(SIDE, SIDE),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.sampled_from(["average", "max"]),
    st.booleans(),
)
def test_sparse_pool(
    rng: np.random.Generator,
    dtype: Any,
    batch: int,
    slots: int,
    image: tuple[int, int],
    kernel: tuple[int, int],
    mode: str,
    raster: bool,
) -> None:
    features, coords = sparse_map(rng, batch, slots, image, int(rng.integers(1, 6)), dtype, raster)
    if mode == "max":  # sums with infinities depend on their order
        features = np.where(coords.any(2, keepdims=True), spoil(rng, features), 0).astype(dtype)
    attributes = {"kernel_shape": list(kernel), "spatial_shape": list(image), "mode": mode}
    assert_same(run("SparsePool", [features, coords], **attributes), SparsePool.compute(features, coords, **attributes))


@given(SEEDS, DTYPES, BATCH, st.sampled_from([0, 1, 7, 60]), st.tuples(SIDE, SIDE), st.integers(1, 5))
def test_sparse_to_dense(
    rng: np.random.Generator, dtype: Any, batch: int, slots: int, image: tuple[int, int], channels: int
) -> None:
    features, coords = sparse_map(rng, batch, slots, image, channels, dtype, raster=False)
    features = np.where(coords.any(2, keepdims=True), spoil(rng, features), 0).astype(dtype)
    attributes = {"spatial_shape": list(image)}
    expected = SparseToDense.compute(features, coords, **attributes)
    assert_same(run("SparseToDense", [features, coords], **attributes), expected)


def parameter(rng: np.random.Generator, low: int, high: int, shape: tuple[int, ...], dtype: Any) -> Array:
    """Bit counts of a shape that broadcasts to `shape`: some leading axes left out, some of size 1."""
    kept = shape[int(rng.integers(0, len(shape) + 1)) :]
    own = tuple(size if rng.random() < 0.7 and size else 1 for size in kept)
    return np.asarray(rng.integers(low, high + 1, own), dtype)


@pytest.mark.parametrize("overflow", list(OverflowMode))
@pytest.mark.parametrize("rounding", list(RoundingMode))
@given(SEEDS, DTYPES, st.lists(st.integers(0, 5), max_size=4).map(tuple), st.booleans())
def test_fixed_point_quant(
    rounding: RoundingMode,
    overflow: OverflowMode,
    rng: np.random.Generator,
    dtype: Any,
    shape: tuple[int, ...],
    constant: bool,
) -> None:
    attributes = {"rounding_mode": rounding.value, "overflow_mode": overflow.value}
    x = spoil(rng, (rng.integers(-300, 300, shape) / 16).astype(dtype))
    bits = [parameter(rng, low, high, shape, dtype) for low, high in ((0, 1), (-3, 6), (-4, 6))]
    expected = FixedPointQuant.compute(x, *bits, **attributes)
    assert_same(run("FixedPointQuant", [x, *bits], (1, 2, 3) if constant else (), **attributes), expected)
    none = [x, *bits, NO_COORDS]
    assert_same(run("FixedPointQuant", none, (1, 2, 3, 4) if constant else (), **attributes), expected)


@pytest.mark.parametrize("overflow", list(OverflowMode))
@given(
    SEEDS, DTYPES, BATCH, st.tuples(SIDE, SIDE), st.integers(1, 5), st.sampled_from(list(RoundingMode)), st.booleans()
)
def test_fixed_point_quant_by_pixel(
    overflow: OverflowMode,
    rng: np.random.Generator,
    dtype: Any,
    batch: int,
    image: tuple[int, int],
    channels: int,
    rounding: RoundingMode,
    constant: bool,
) -> None:
    attributes = {"rounding_mode": rounding.value, "overflow_mode": overflow.value}
    features, coords = sparse_map(rng, batch, 9, image, channels, dtype, raster=False)
    x = np.where(coords.any(2, keepdims=True), spoil(rng, features), 0).astype(dtype)
    bits = [parameter(rng, lo, hi, (*image, channels), dtype) for lo, hi in ((0, 1), (-3, 6), (-4, 6))]
    expected = FixedPointQuant.compute(x, *bits, coords, **attributes)
    assert_same(run("FixedPointQuant", [x, *bits, coords], (1, 2, 3) if constant else (), **attributes), expected)


QONNX_MODES = ["ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "floor"]


@pytest.mark.parametrize("mode", QONNX_MODES)
@given(SEEDS, st.lists(st.integers(0, 5), max_size=4).map(tuple), st.integers(1, 9), st.booleans(), st.booleans())
def test_quant(
    mode: str, rng: np.random.Generator, shape: tuple[int, ...], width: int, signed: bool, narrow: bool
) -> None:
    x = spoil(rng, (rng.integers(-300, 300, shape) / 16).astype(np.float32))
    bits = np.array(width, np.float32)
    scale = np.asarray([0.25, 0.5, 1, 2, 0.3], np.float32)[parameter(rng, 0, 4, shape, np.int64)]
    zero = np.asarray([0, 0, 1, -3], np.float32)[parameter(rng, 0, 3, shape, np.int64)]
    scale, zero = np.asarray(scale), np.asarray(zero)
    attributes: dict[str, Any] = {"signed": int(signed), "narrow": int(narrow), "rounding_mode": mode}
    with np.errstate(all="ignore"):
        expected = np.asarray(int_quant(x, scale, zero, bits, signed, narrow, mode), np.float32)
    for constant in ((), (1, 2, 3), (1, 3)):
        got = run("Quant", [x, scale, zero, bits], constant, domain=QONNX, **attributes)
        assert_same(got, [expected])


def test_quant_of_constants_is_computed_once() -> None:
    """All inputs are initializers: the result is there when the session is made, and right run after run."""
    weights = np.linspace(-3, 3, 50, dtype=np.float32).reshape(5, 10)
    inputs = [weights, *(np.array(value, np.float32) for value in ([0.25], [0.0], 4))]
    ready = session(model("Quant", inputs, (0, 1, 2, 3), QONNX, signed=1, narrow=0))
    expected = int_quant(*inputs, True, False, "ROUND")
    for _ in range(2):
        assert_same(ready.run(None, {}), [expected])
