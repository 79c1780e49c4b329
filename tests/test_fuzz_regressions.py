"""What random networks have brought to light, each reduced to its smallest form."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from harness import assert_same_everywhere
from proofs import quantized_limits
from sparse_qonnx.fixed import OverflowMode, RoundingMode, quantize
from sparse_qonnx.graph import GraphBuilder, tensor_shape
from sparse_qonnx.grid import Grid, NodeContext
from sparse_qonnx.passes import finalize
from sparse_qonnx.passes.infer_grids import infer_grids
from sparse_qonnx.reference import run_reference
from sparse_qonnx.runtime import run_tensors
from sparse_qonnx.standard.gather import Gather
from sparse_qonnx.standard.reduce_mean import ReduceMean
from sparse_qonnx.standard.reduce_sum import ReduceSum
from sparse_qonnx.standard.slice import Slice


@pytest.mark.parametrize("values", sorted(permutations([np.nan, 1.0, -np.inf])), ids=str)
def test_nan_in_a_max_pool_wins_wherever_it_stands(values: tuple[float, ...]) -> None:
    """onnxruntime's ScatterElements keeps or drops NaN by its place."""
    features = np.array(values, dtype=np.float32).reshape(1, 3, 1)
    coords = np.array([[[1, 1], [1, 2], [1, 3]]], dtype=np.int64)
    for window in ([1, 2], [1, 3]):
        attributes = {"mode": "max", "kernel_shape": window, "spatial_shape": [1, 3]}
        assert_same_everywhere("SparsePool", [features, coords], **attributes)


@pytest.mark.parametrize("rounding", [RoundingMode.RND, RoundingMode.RND_CONV])
@pytest.mark.parametrize("form", [(0, 0, 1), (0, 1, 1), (0, 2, 1), (0, -1, 3), (1, 0, 0), (1, 1, 1), (1, 2, 0)])
def test_limits_of_wrap_sm_hold_every_value(form: tuple[int, int, int], rounding: RoundingMode) -> None:
    """HGQ2's WRAP_SM without a sign reflects the upper half of its own range to negative values."""
    k, i, f = form
    steps = np.arange(-40, 41)
    x = steps * 2.0 ** -(f + 2)
    y = quantize(x, np.array(k), np.array(i), np.array(f), rounding, OverflowMode.WRAP_SM) * 2.0**f
    for a in range(len(x)):
        for b in range(a, len(x)):
            low, high = quantized_limits((Fraction(x[a]), Fraction(x[b])), k, i, f, rounding, OverflowMode.WRAP_SM)
            assert low <= y[a : b + 1].min() and y[a : b + 1].max() <= high, (form, x[a], x[b])


@pytest.mark.parametrize("rule", [ReduceSum, ReduceMean])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reductions_of_a_vector_are_proven(rule: type[ReduceSum | ReduceMean], keepdims: int) -> None:
    grid = Grid(np.array([-1, 0, 0], dtype=object), np.array([1, 2, 3], dtype=object), 0)
    shapes, constants = (("batch", 3), (1,)), (None, np.array([1]))
    proof = rule.prove(NodeContext("n", rule.__name__, {"keepdims": keepdims}, shapes, (grid, None), constants))
    assert proof.outputs[0] is not None
    assert (proof.outputs[0].lowest, proof.outputs[0].highest) == (-1, 6)


def test_a_table_that_a_quant_gives_is_proven() -> None:
    """The table of a QUnaryFunctionLUT is written as initializer -> Quant -> Gather."""
    table = Grid.of_constant(np.array([0.0, 0.25, -1.0]))
    shapes = ((3,), ("batch", 2))
    proof = Gather.prove(NodeContext("n", "Gather", {}, shapes, (table, None), (None, None), (("batch", 2),)))
    assert proof.outputs[0] is not None
    assert (proof.outputs[0].lowest, proof.outputs[0].highest, proof.outputs[0].frac) == (-4, 1, 2)


def quantizer_of_a_product(scale: float, form: tuple[int, int, int], overflow: str) -> GraphBuilder:
    """x * scale, quantized; the constant bears the name that the parameter of a Quant would get."""
    graph = GraphBuilder("g")
    x = graph.input("x", (4,))
    (y,) = graph.node("Mul", [x, graph.constant("norm.scale", np.array(scale, np.float32))], ["norm.linear"])
    parameters = [graph.constant(f"q.{n}", np.array(v, np.float32)) for n, v in enumerate(form)]
    modes = {"rounding_mode": "RND_CONV", "overflow_mode": overflow}
    graph.output(graph.sparse("FixedPointQuant", [y, *parameters], ["norm"], **modes)[0])
    return graph


def test_parameters_of_a_quant_do_not_take_the_name_of_another_constant() -> None:
    """A QBatchNormalization's factor is called `<layer>.scale`, as the scale of the Quant was that gives `<layer>`."""
    model = finalize(quantizer_of_a_product(4.0, (1, 3, 2), "SAT").build(), "ap_fixed<6,3>")
    assert {name: n for name, n in Counter(t.name for t in model.graph.initializer).items() if n > 1} == {}
    x = np.array([[0.125, 0.25, -1.0, 3.0]], dtype=np.float32)
    assert run_tensors(model, {"x": x})["norm"].tolist() == [[0.5, 1.0, -4.0, 7.75]]


def test_wrap_sm_without_a_sign_is_no_standard_quant() -> None:
    """Even where no value leaves its range: it reflects the upper half of that range."""
    model = finalize(quantizer_of_a_product(1.0, (0, 2, 1), "WRAP_SM").build(), "ap_ufixed<3,2>")
    x = np.array([[0.5, 1.5, 2.0, 3.5]], dtype=np.float32)
    want = quantize(x, np.array(0), np.array(2), np.array(1), RoundingMode.RND_CONV, OverflowMode.WRAP_SM)
    assert want.min() < 0
    assert run_tensors(model, {"x": x})["norm"].tolist() == want.tolist()


@pytest.mark.keras
@pytest.mark.parametrize("name", ["QBatchNormDense", "QEinsumDenseBatchnorm"])
def test_batch_normalized_dense_layers_have_a_reference_in_float64(name: str) -> None:
    keras = pytest.importorskip("keras")
    layers = pytest.importorskip("sparsepixels.layers")
    import hgq.layers

    from sparse_qonnx.export.freeze import reference_outputs

    image = keras.Input((2, 2, 1))
    x, _ = layers.InputReduce(2, 0.0)(image)
    x = keras.layers.Flatten()(x)
    arguments = (2,) if name == "QBatchNormDense" else ("bj,jk->bk", 2)
    settings = {} if name == "QBatchNormDense" else {"bias_axes": "k"}
    model = keras.Model(image, getattr(hgq.layers, name)(*arguments, **settings, name="dense")(x))
    wide = reference_outputs(model, np.ones((1, 2, 2, 1), np.float32), ["dense"], float64=True)["dense"]
    narrow = reference_outputs(model, np.ones((1, 2, 2, 1), np.float32), ["dense"])["dense"]
    assert np.array_equal(wide, narrow)


def test_relu_before_a_wide_clip_runs_in_stock_onnxruntime() -> None:
    """onnxruntime's fusion of Relu and Clip rejects a file whose Clip is float64."""
    graph = GraphBuilder("g")
    x = graph.input("x", (3,))
    (wide,) = graph.node("Mul", [x, graph.constant("factor", np.array(1 + 2.0**-20, np.float32))], ["wide"])
    (positive,) = graph.node("Relu", [wide], ["positive"])
    bounds = [graph.constant(n, np.array(v, np.float32)) for n, v in (("low", 0.0), ("high", 1.5))]
    graph.output(graph.node("Clip", [positive, *bounds], ["y"])[0])
    model = finalize(graph.build(), "ap_fixed<20,6>")
    events = {"x": np.array([[-1.0, 0.5, 3.0]], dtype=np.float32)}
    stock = run_tensors(model, events)["y"]
    assert stock.tolist() == [[0.0, np.float32(0.5 * (1 + 2.0**-20)), 1.5]]
    assert np.array_equal(run_reference(model, events)["y"], stock)


@pytest.mark.keras
def test_partial_windows_of_dense_poolings_are_left_out_exactly() -> None:
    """Behind them nothing was on a known grid any more: such poolings went through tf2onnx."""
    pytest.importorskip("sparsepixels")
    from keras_models import assert_exact, events, sparse_model

    def body(x: Any, mask: Any) -> Any:
        import hgq.layers
        import keras

        image = keras.layers.Reshape((8, 7, 2), name="image")(x)
        highest = keras.layers.MaxPooling2D((3, 2), name="highest")(image)
        average = hgq.layers.QAveragePooling2D((3, 4), name="average")(image)
        line = keras.layers.AveragePooling1D(4, name="line")(keras.layers.Reshape((16, 7), name="rows")(x))
        return [keras.layers.Flatten()(y) for y in (highest, average, line)]

    model = sparse_model(body)
    proto = assert_exact(model, events(), "ap_fixed<9,5>")
    assert {node.op_type for node in proto.graph.node} >= {"Slice", "ReduceMax", "ReduceMean"}
    assert all(infer_grids(proto).grids[name] is not None for name in ("highest", "average", "line"))


def test_a_slice_keeps_the_limits_of_what_it_keeps() -> None:
    grid = Grid(np.array([[-4], [0], [2]], dtype=object), np.array([[-3], [1], [7]], dtype=object), 0)
    shapes = (("batch", 3, 2), (1,), (1,), (1,))
    bounds = [np.array([v]) for v in (0, 2, 1)]
    proof = Slice.prove(NodeContext("n", "Slice", {}, shapes, (grid, None, None, None), (None, *bounds)))
    assert proof.outputs[0] is not None
    assert (proof.outputs[0].lowest, proof.outputs[0].highest) == (-4, 1)


@pytest.mark.keras
def test_a_table_whose_output_quantizer_is_a_dummy() -> None:
    pytest.importorskip("sparsepixels")
    from keras_models import assert_exact, events, sparse_model

    def body(x: Any, mask: Any) -> Any:
        import hgq.layers
        import keras
        from hgq.quantizer.config import QuantizerConfig

        x = keras.layers.Flatten(name="flatten")(x)
        return hgq.layers.QUnaryFunctionLUT("relu", oq_conf=QuantizerConfig("dummy", "table"), name="table")(x)

    assert_exact(sparse_model(body), events(), "ap_fixed<9,5>")


@pytest.mark.keras
def test_outputs_of_float_layers_state_their_shape() -> None:
    """Keras's LayerNormalization computes shapes at run time; without one the file is not valid."""
    pytest.importorskip("sparsepixels")
    pytest.importorskip("tf2onnx")
    from keras_models import sparse_model
    from sparse_qonnx.export import export

    def body(x: Any, mask: Any) -> Any:
        import keras

        return keras.layers.LayerNormalization(name="normed")(keras.layers.Reshape((14, 8), name="rows")(x))

    model = export(sparse_model(body), input_precision="ap_fixed<9,5>")
    onnx.checker.check_model(model)
    assert tensor_shape(model.graph.output[0]) == ("batch", 14, 8)


@pytest.mark.csim
def test_formats_coarser_than_their_input_in_firmware(tmp_path: Path) -> None:
    """Half of a step had no place in the kernel's integers, and a bias of 0 more fractional bits than the sums."""
    from sparse_qonnx.hls import to_hls

    graph = GraphBuilder("g")
    x = graph.input("x", (4,))
    for mode in RoundingMode:
        for frac in (-1, -2, 2):
            form = [graph.constant(f"{mode}.{frac}.{n}", np.array(v, np.float32)) for n, v in enumerate((1, 4, frac))]
            modes = {"rounding_mode": mode.value, "overflow_mode": "SAT"}
            (y,) = graph.sparse("FixedPointQuant", [x, *form], [f"{mode.value}{frac + 2}"], **modes)
            graph.output(y)
    weights = graph.quantized_constant("weights", np.array([[1.0], [2.0], [-1.0], [4.0]]))
    graph.output(graph.node("MatMul", ["TRN0", weights], ["product"])[0])
    model = finalize(graph.build(), "ap_fixed<4,-2>")
    events = {"x": (np.arange(-8, 8, dtype=np.float32) / 64).reshape(4, 4)}
    found = to_hls(model, tmp_path / "firmware").predict_tensors(events, [v.name for v in model.graph.output])
    for name, values in run_reference(model, events).items():
        assert np.array_equal(found[name], values), name


@pytest.mark.keras
def test_names_of_float_layers_do_not_depend_on_what_was_converted_before() -> None:
    pytest.importorskip("sparsepixels")
    pytest.importorskip("tf2onnx")
    from keras_models import sparse_model
    from sparse_qonnx.export import export

    def body(x: Any, mask: Any) -> Any:
        import keras

        return keras.layers.LayerNormalization(name="normed")(keras.layers.Flatten(name="flatten")(x))

    model = sparse_model(body)
    first, second = (export(model, input_precision="ap_fixed<9,5>").SerializeToString(deterministic=True) for _ in "12")
    assert first == second
