"""Every operator: NumPy reference = ONNX function body in stock onnxruntime = qonnx, value for value."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper

from harness import assert_same_everywhere, run_function, same, single_node_model
from sparse_qonnx.errors import InputDataError, UnsupportedNodeError
from sparse_qonnx.ops import operators
from sparse_qonnx.ops.fixed_point_quant import NO_COORDS
from strategies import float_types, images, overflow_modes, rounding_modes, seeds, sparse_maps

Array = NDArray[Any]


@given(images(), st.sampled_from([1, 2, 7, 100]), st.sampled_from([-3.0, -0.25, 0.0, 0.25, 0.3, 99.0]))
def test_input_reduce(x: Array, n: int, threshold: float) -> None:
    assert_same_everywhere("InputReduce", [x], n_max_pixels=n, threshold=threshold)


def test_input_reduce_is_strict_and_in_raster_order() -> None:
    x = np.zeros((1, 2, 3, 2), dtype=np.float32)
    x[0, 0, 1] = [0.5, 7]  # a tie at the threshold stays out
    x[0, 0, 2] = [0.75, 8]
    x[0, 1, 0] = [2.0, 0]
    x[0, 1, 2] = [3.0, 1]  # beyond the budget
    features, coords = operators()["InputReduce"].compute(x, n_max_pixels=2, threshold=0.5)
    assert features.tolist() == [[[0.75, 8.0], [2.0, 0.0]]]
    assert coords.tolist() == [[[1, 3], [2, 1]]]


def test_input_reduce_lets_nothing_through_that_is_not_greater() -> None:
    x = np.array([np.nan, -np.inf, np.inf, 1.0], dtype=np.float32).reshape(1, 2, 2, 1)
    features, coords = run_function("InputReduce", [x], n_max_pixels=4, threshold=0.0)
    assert features.ravel().tolist() == [np.inf, 1.0, 0.0, 0.0]
    assert coords[0, :2].tolist() == [[2, 1], [2, 2]]


def test_input_reduce_without_channels_keeps_nothing() -> None:
    x = np.zeros((2, 3, 4, 0), np.float32)
    features, coords = operators()["InputReduce"].compute(x, n_max_pixels=5, threshold=-1.0)
    assert features.shape == (2, 5, 0) and coords.shape == (2, 5, 2) and not coords.any()


@given(sparse_maps())
def test_sparse_to_dense(case: tuple[Array, Array, tuple[int, int]]) -> None:
    features, coords, spatial = case
    assert_same_everywhere("SparseToDense", [features, coords], spatial_shape=list(spatial))


@given(sparse_maps(), st.sampled_from(["average", "max"]), st.integers(1, 5), st.integers(1, 5))
def test_sparse_pool(case: tuple[Array, Array, tuple[int, int]], mode: str, height: int, width: int) -> None:
    features, coords, spatial = case
    attributes = {"mode": mode, "kernel_shape": [height, width], "spatial_shape": list(spatial)}
    assert_same_everywhere("SparsePool", [features, coords], **attributes)


@pytest.mark.parametrize("mode", ["average", "max"])
@given(images(), st.integers(1, 4), st.integers(1, 4))
def test_sparse_pool_is_dense_pooling(mode: str, x: Array, height: int, width: int) -> None:
    """With every pixel kept, pooling is the dense layer's, partial windows dropped."""
    batch, rows, columns, channels = x.shape
    features, coords = operators()["InputReduce"].compute(x, n_max_pixels=rows * columns, threshold=-9.0)
    pool = operators()["SparsePool"]
    out = pool.compute(features, coords, mode=mode, kernel_shape=(height, width), spatial_shape=(rows, columns))
    small = (rows // height, columns // width)
    (image,) = operators()["SparseToDense"].compute(*out, spatial_shape=small)
    cut = x[:, : small[0] * height, : small[1] * width]
    windows = cut.reshape(batch, small[0], height, small[1], width, channels)
    total = windows.sum(axis=(2, 4), dtype=x.dtype) / x.dtype.type(height * width)
    assert same(image, total if mode == "average" else windows.max(axis=(2, 4), initial=-np.inf).astype(x.dtype))


@given(sparse_maps(), seeds, st.tuples(st.integers(1, 5), st.integers(1, 12)), st.tuples(*[st.integers(1, 3)] * 2),
       st.booleans(), st.booleans())  # fmt: skip
def test_sparse_conv(
    case: tuple[Array, Array, tuple[int, int]],
    seed: int,
    kernel: tuple[int, int],
    dilations: tuple[int, int],
    grouped: bool,
    with_bias: bool,
) -> None:
    features, coords, _ = case
    rng = np.random.default_rng(seed)
    channels = features.shape[2]
    group = channels if grouped else 1
    filters = group * int(rng.integers(1, 4))
    weights = (rng.integers(-4, 5, (filters, channels // group, *kernel)) / 8).astype(features.dtype)
    bias = (rng.integers(-4, 5, filters) / 4).astype(features.dtype) if with_bias else None
    attributes = {"kernel_shape": list(kernel), "dilations": list(dilations), "group": group}
    assert_same_everywhere("SparseConv", [features, coords, weights, bias], **attributes)


def test_sparse_conv_adds_the_bias_only_where_the_sum_is_not_zero() -> None:
    coords = np.array([[[1, 1], [1, 2], [5, 5], [0, 0]]])
    features = np.array([[[1.0], [-1.0], [2.0], [0.0]]], dtype=np.float32)
    weights = np.ones((1, 1, 3, 3), dtype=np.float32)
    bias = np.array([10.0], dtype=np.float32)
    (out,) = run_function("SparseConv", [features, coords, weights, bias], kernel_shape=[3, 3])
    assert out.ravel().tolist() == [0.0, 0.0, 12.0, 0.0]


@pytest.mark.parametrize(
    ("kernel", "dilations", "group"),
    [((1, 1), (1, 1), 1), ((3, 3), (1, 1), 1), ((2, 3), (3, 1), 2), ((3, 2), (1, 2), 4), ((4, 5), (2, 1), 1)],
)
def test_sparse_conv_is_dense_convolution(kernel: tuple[int, int], dilations: tuple[int, int], group: int) -> None:
    """With every pixel kept it is the dense layer's, output pixel by output pixel."""
    rng = np.random.default_rng(1)
    height, width, channels, filters = 5, 7, 4, 8
    x = rng.integers(-4, 5, (2, height, width, channels)).astype(np.float32)
    weights = rng.integers(-4, 5, (filters, channels // group, *kernel)).astype(np.float32)
    features, coords = operators()["InputReduce"].compute(x, n_max_pixels=height * width, threshold=-9.0)
    attributes = {"kernel_shape": kernel, "dilations": dilations, "group": group}
    (y,) = operators()["SparseConv"].compute(features, coords, weights, **attributes)
    want = np.zeros((2, height, width, filters), np.float32)
    before = [(k - 1) * d // 2 for k, d in zip(kernel, dilations, strict=True)]
    for row, column, dy, dx, f, c in np.ndindex(height, width, *kernel, filters, channels // group):
        r, s = row + dy * dilations[0] - before[0], column + dx * dilations[1] - before[1]
        if 0 <= r < height and 0 <= s < width:
            channel = f // (filters // group) * (channels // group) + c
            want[:, row, column, f] += weights[f, c, dy, dx] * x[:, r, s, channel]
    assert same(y.reshape(want.shape), want)


@pytest.mark.parametrize(
    ("channels", "weights", "group"),
    [(3, (4, 2, 3, 3), 1), (600, (4, 2, 3, 3), 2), (4, (3, 2, 3, 3), 2), (2, (4, 2, 3, 1), 1), (2, (4, 2, 1, 3), 1)],
)
def test_sparse_conv_refuses_weights_that_do_not_fit(channels: int, weights: tuple[int, ...], group: int) -> None:
    inputs = [np.zeros((1, 5, channels), np.float32), np.zeros((1, 5, 2), np.int64), np.zeros(weights, np.float32)]
    attributes = {"kernel_shape": (3, 3), "dilations": (1, 1), "group": group}
    with pytest.raises(InputDataError, match=rf"features \[1, 5, {channels}\], W .*group {group} do not fit together"):
        operators()["SparseConv"].compute(*inputs, **attributes)


def test_sparse_conv_of_many_channels() -> None:
    features, coords = np.ones((1, 1, 600), np.float32), np.ones((1, 1, 2), np.int64)
    attributes = {"kernel_shape": (1, 1), "dilations": (1, 1), "group": 2}
    (y,) = operators()["SparseConv"].compute(features, coords, np.ones((2, 300, 1, 1), np.float32), **attributes)
    assert y.tolist() == [[[300, 300]]]


@given(sparse_maps(), seeds, rounding_modes, overflow_modes, st.booleans())
def test_fixed_point_quant_reads_formats_at_pixels(
    case: tuple[Array, Array, tuple[int, int]], seed: int, rounding: str, overflow: str, by_channel: bool
) -> None:
    features, coords, spatial = case
    rng = np.random.default_rng(seed)
    shape = (1, 1, features.shape[2]) if by_channel else (*spatial, features.shape[2])
    formats = [rng.integers(low, high, shape).astype(features.dtype) for low, high in ((0, 2), (-1, 3), (-2, 4))]
    inputs = [features * features.dtype.type(1.37), *formats, coords]
    assert_same_everywhere("FixedPointQuant", inputs, rounding_mode=rounding, overflow_mode=overflow)


@pytest.mark.parametrize("shape", [(2, 3, 2), (2, 3, 1), (2, 1, 1), (1, 3, 2), (3, 1), (2,), ()])
def test_fixed_point_quant_reads_the_format_of_the_pixel(shape: tuple[int, ...]) -> None:
    """An axis of length 1, or one that is missing, stands for all places."""
    coords = np.array([[[2, 3], [0, 0], [1, 1], [1, 2]]])
    bits = np.arange(np.prod(shape, dtype=int)).reshape(shape) % 5
    one, none = np.array(1), np.array(0)
    x = np.full((1, 4, 2), 99, np.float32)
    (y,) = operators()["FixedPointQuant"].compute(x, one, bits, none, coords, rounding_mode="RND", overflow_mode="SAT")
    everywhere = np.broadcast_to(bits, (2, 3, 2))
    for slot, (row, column) in enumerate(coords[0]):
        want = 2.0 ** everywhere[row - 1, column - 1] - 1 if row else np.zeros(2)
        assert y[0, slot].tolist() == want.tolist()
    for place, axis in (((3, 1), 0), ((1, 4), 1)):
        outside = np.array([[place] * 4])
        arguments = (x, one, bits, none, outside)
        if ((1,) * (3 - len(shape)) + shape)[axis] > 1:
            with pytest.raises(InputDataError, match=rf"\({place[0]}, {place[1]}\)"):
                operators()["FixedPointQuant"].compute(*arguments, rounding_mode="RND", overflow_mode="SAT")
        else:
            operators()["FixedPointQuant"].compute(*arguments, rounding_mode="RND", overflow_mode="SAT")


@given(float_types, seeds, rounding_modes, overflow_modes, st.sampled_from([None, "marker"]))
def test_fixed_point_quant_of_a_dense_tensor(
    dtype: type[np.floating[Any]], seed: int, rounding: str, overflow: str, coords: str | None
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 3, (4, 30)).astype(dtype)
    x[1] = rng.integers(-64, 64, 30) / 16  # ties
    x[2, :5] = [np.nan, np.inf, -np.inf, 0.49999997, -0.0]
    formats = [rng.integers(low, high, (30,)).astype(dtype) for low, high in ((0, 2), (-1, 3), (-2, 4))]
    inputs: list[Array | None] = [x, *formats] if coords is None else [x, *formats, NO_COORDS]
    assert_same_everywhere("FixedPointQuant", inputs, rounding_mode=rounding, overflow_mode=overflow)


@pytest.mark.parametrize("op_type", sorted(operators()))
def test_stem_names_class_and_function(op_type: str) -> None:
    op = operators()[op_type]
    body = op.function()
    assert (op.__name__, body.name, body.domain) == (op_type, op_type, "sparse_qonnx.ops")
    required = [p.name for p in op.inputs if not p.optional]
    assert list(body.input)[: len(required)] == required
    assert set(body.attribute) | {a.name for a in body.attribute_proto} == {a.name for a in op.attributes}
    assert {node.domain for node in body.node} == {""}, "functions call standard operators only"


def test_qonnx_finds_the_operators_by_domain() -> None:
    from qonnx.custom_op.registry import is_custom_op

    assert all(is_custom_op("sparse_qonnx.ops", name) for name in operators())


def test_files_pass_the_checker() -> None:
    features, coords = np.zeros((1, 4, 2), np.float32), np.zeros((1, 4, 2), np.int64)
    attributes = {"mode": "max", "kernel_shape": [2, 2], "spatial_shape": [6, 6]}
    model, _ = single_node_model("SparsePool", [features, coords], **attributes)
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"mode": "median"}, r"'pool1' \(SparsePool\).*'mode' is 'median'.*average, max"),
        ({"kernel_shape": None}, r"'pool1'.*'kernel_shape' is missing"),
        ({"stride": [1, 1]}, r"'pool1'.*unknown attribute 'stride'.*kernel_shape, mode, spatial_shape"),
    ],
)
def test_unknown_attribute_values_name_node_and_choices(attributes: dict[str, Any], message: str) -> None:
    good = {"mode": "max", "kernel_shape": [2, 2], "spatial_shape": [4, 4]}
    node = helper.make_node("SparsePool", ["f", "c"], ["y", "d"], name="pool1", **{**good, **attributes})
    with pytest.raises(UnsupportedNodeError, match=message):
        operators()["SparsePool"].read_attributes(node)


@pytest.mark.parametrize("place", [(3, 9), (5, 1), (0, 2), (2, 0), (-1, 1)])
def test_coordinates_that_are_no_pixel_are_named(place: tuple[int, int]) -> None:
    features, coords = np.ones((1, 4, 1), np.float32), np.array([[(1, 1), (0, 0), place, (7, 7)]])
    with pytest.raises(InputDataError, match=rf"holds \({place[0]}, {place[1]}\).*\(4, 4\)"):
        operators()["SparseToDense"].compute(features, coords, spatial_shape=(4, 4))
