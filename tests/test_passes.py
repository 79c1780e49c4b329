"""Passes: what they change, what they keep, what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

import sparse_qonnx
from harness import KERNELS, same
from sparse_qonnx.errors import PrecisionError
from sparse_qonnx.fixed import RoundingMode
from sparse_qonnx.graph import GraphBuilder, all_values, read_metadata
from sparse_qonnx.passes import finalize
from sparse_qonnx.passes.infer_grids import infer_grids, input_types
from sparse_qonnx.passes.input_precision import state_input_precision
from sparse_qonnx.passes.standard_quants import use_standard_quants
from sparse_qonnx.reference import run_reference
from sparse_qonnx.runtime import run_qonnx, run_tensors
from strategies import overflow_modes, rounding_modes, seeds

Array = NDArray[Any]
KEY = "sparse_qonnx.input_precision.x"


def quantizer_graph(
    formats: tuple[Any, Any, Any], rounding: str = "RND", overflow: str = "WRAP", relu: bool = False, n: int = 6
) -> GraphBuilder:
    graph = GraphBuilder("g")
    x = graph.input("x", (n,))
    if relu:
        (x,) = graph.node("Relu", [x], ["r"])
    names = [graph.constant(f"q.{k}", np.asarray(v, np.float32)) for k, v in zip("kif", formats, strict=True)]
    modes = {"rounding_mode": rounding, "overflow_mode": overflow}
    graph.output(graph.sparse("FixedPointQuant", [x, *names], ["q"], **modes)[0])
    return graph


def everywhere(model: ModelProto, x: Array) -> Array:
    """The output; NumPy = stock onnxruntime = native kernels, where they were built = qonnx."""
    (name,) = (v.name for v in model.graph.output)
    want = run_reference(model, {"x": x})[name]
    assert same(run_qonnx(model, {"x": x})[name], want)
    for kernels in KERNELS:
        assert same(run_tensors(model, {"x": x}, kernels=kernels)[name], want), kernels
    return want


@given(
    st.tuples(st.integers(0, 1), st.integers(-2, 4), st.integers(-2, 5)),
    rounding_modes,
    overflow_modes,
    st.booleans(),
    seeds,
)
def test_a_standard_quant_is_used_only_where_it_is_the_same(
    formats: tuple[int, int, int], rounding: str, overflow: str, relu: bool, seed: int
) -> None:
    built = state_input_precision(quantizer_graph(formats, rounding, overflow, relu).build(), "ap_fixed<12,5>")
    standard = use_standard_quants(built)
    rng = np.random.default_rng(seed)
    x = (rng.integers(-2048, 2048, (50, 6)) / 128).astype(np.float32)
    want = run_reference(built, {"x": x})["q"]
    assert same(run_reference(standard, {"x": x})["q"], want)
    (node,) = [n for n in standard.graph.node if n.op_type != "Relu"]
    assert node.op_type == "Quant" or node.doc_string.startswith("not a qonnx Quant: ")


@pytest.mark.parametrize(
    ("rounding", "overflow", "relu", "op_type"),
    [
        ("RND_CONV", "SAT", False, "Quant"),
        ("TRN", "SAT_SYM", False, "Quant"),
        ("RND", "SAT", False, "FixedPointQuant"),  # Quant has no floor(x + 1/2)
        ("RND", "SAT", True, "Quant"),  # but for values >= 0 it is half-up
        ("RND_CONV", "WRAP", False, "FixedPointQuant"),
        ("RND_MIN_INF", "SAT", False, "FixedPointQuant"),
    ],
)
def test_which_quantizers_are_standard(rounding: str, overflow: str, relu: bool, op_type: str) -> None:
    graph = quantizer_graph((1, 2, 3), rounding, overflow, relu)
    model = finalize(graph.build(), "ap_fixed<12,5>")
    assert op_type in {node.op_type for node in model.graph.node}
    onnx.checker.check_model(model, full_check=True)
    everywhere(model, np.linspace(-15, 15, 30, dtype=np.float32).reshape(5, 6))


def test_wrap_that_never_wraps_is_standard() -> None:
    model = finalize(quantizer_graph((1, 5, 3), "RND_CONV", "WRAP").build(), "ap_fixed<8,5>")
    assert [n.op_type for n in model.graph.node] == ["Quant"]


def test_the_input_type_is_derived_from_its_quantizers() -> None:
    graph = quantizer_graph(([0, 1, 0, 1, 0, 0], [2, 1, -3, 0, 0, 0], [3, 5, 1, 2, 0, 0]))
    metadata = read_metadata(finalize(graph.build()))
    assert metadata[KEY] == "ap_fixed<8,3>"
    assert metadata["sparse_qonnx.input_precision_source.x"] == "derived"


def test_nothing_is_derived_past_arithmetic() -> None:
    graph = quantizer_graph((1, 2, 3), relu=True)
    assert KEY not in read_metadata(finalize(graph.build()))


def test_an_unknown_input_is_named() -> None:
    with pytest.raises(PrecisionError, match=r"unknown input 'y'.*Allowed: x"):
        finalize(quantizer_graph((1, 2, 3)).build(), {"y": "ap_fixed<8,1>"})


def dense_graph(weight_bits: int, n: int = 40) -> GraphBuilder:
    graph = GraphBuilder("g")
    x = graph.input("x", (n,))
    rng = np.random.default_rng(0)
    kernel = rng.integers(-(2 ** (weight_bits - 1)), 2 ** (weight_bits - 1), (n, 3)) * 2.0 ** (1 - weight_bits)
    kernel[0, 0] = -1
    (y,) = graph.node("MatMul", [x, graph.quantized_constant("w", kernel.astype(np.float32))], ["y"])
    graph.output(graph.node("Relu", [y], ["z"])[0])
    return graph


@pytest.mark.parametrize(("bits", "kind"), [(6, "float32"), (16, "float64")])
def test_arithmetic_follows_the_proof(bits: int, kind: str) -> None:
    model = finalize(dense_graph(bits).build(), "ap_ufixed<12,0>")
    assert read_metadata(model)["sparse_qonnx.arithmetic"] == kind
    values = all_values(model)
    assert values["z"].type.tensor_type.elem_type == TensorProto.FLOAT, "outputs stay float32"
    onnx.checker.check_model(model, full_check=True)
    x = (np.random.default_rng(1).integers(0, 4096, (9, 40)) / 4096).astype(np.float32)
    everywhere(model, x)


def test_float64_is_really_needed() -> None:
    """The widened file gives the exact integers; the same sums in float32 do not."""
    model = finalize(dense_graph(16).build(), "ap_ufixed<16,0>")
    x = (np.random.default_rng(1).integers(0, 65536, (200, 40)) / 65536).astype(np.float32)
    tensor = next(n.output[0] for n in model.graph.node if n.op_type == "MatMul")
    exact = run_tensors(model, {"x": x}, [tensor])[tensor]
    kernel = run_tensors(model, {"x": x}, ["w.q"])["w.q"]
    steps = (x * 2**16).astype(np.int64) @ (kernel * 2**15).astype(np.int64)
    assert np.array_equal(exact * 2.0**31, steps)
    assert not np.array_equal((x @ kernel).astype(np.float64) * 2.0**31, steps)


def test_too_many_bits_are_refused_by_name() -> None:
    with pytest.raises(PrecisionError, match=r"node 'y' \(MatMul\): needs \d+ bits.*53 bits.*quantize its input"):
        finalize(dense_graph(16).build(), "ap_ufixed<40,0>")


def test_weights_need_a_grid() -> None:
    graph = GraphBuilder("g")
    with pytest.raises(PrecisionError, match=r"weights 'w'.*need 31 bits.*quantizer"):
        graph.quantized_constant("w", np.array([1.0, 2.0**-30]))


@given(seeds, st.integers(1, 12), st.integers(-6, 20))
def test_weight_quantizers_change_nothing(seed: int, bits: int, frac: int) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (4, 3)) * 2.0**-frac).astype(np.float32)
    graph = GraphBuilder("g")
    x = graph.input("x", (4,))
    name = graph.quantized_constant("w", values)
    graph.output(graph.node("MatMul", [x, name], ["y"])[0])
    model = finalize(graph.build(), "ap_fixed<2,2>")
    feed = {"x": np.zeros((1, 4), np.float32)}
    for run in (run_reference, run_tensors, run_qonnx):
        assert np.array_equal(run(model, feed, ["w.q"])["w.q"], values)


def test_an_average_of_nine_may_be_summed_before_a_quantizer() -> None:
    graph = GraphBuilder("g")
    x = graph.input("x", (3, 3, 1))
    axes = graph.constant("axes", np.array([1, 2]))
    (mean,) = graph.node("ReduceMean", [x, axes], ["mean"], keepdims=0)
    (y,) = graph.node("MatMul", [mean, graph.quantized_constant("w", np.float32([[1.0, 0.5]]))], ["y"])
    names = [graph.constant(f"q.{k}", np.float32([v])) for k, v in (("k", 1), ("i", 2), ("f", 3))]
    graph.output(graph.sparse("FixedPointQuant", [y, *names], ["q"])[0])
    model = finalize(graph.build(), "ap_fixed<8,2>")
    assert [node.op_type for node in model.graph.node if node.op_type in ("ReduceMean", "ReduceSum", "Div")] == [
        "ReduceSum",
        "Div",
    ]
    steps = np.random.default_rng(0).integers(-128, 128, (200, 3, 3, 1))
    got = everywhere(model, (steps / 64).astype(np.float32))
    total = steps.sum(axis=(1, 2)) * np.array([2, 1])  # in steps of 1 / (64 * 2 * 9)
    whole = (2 * total * 8 + 1152) // (2 * 1152)  # half up, in steps of 1 / 8
    assert np.array_equal(got, ((whole + 32) % 64 - 32) / 8)


@given(seeds, rounding_modes, st.integers(0, 4))
def test_the_quantizer_after_an_average_of_nine_is_exact(seed: int, rounding: str, frac: int) -> None:
    """Rounded quotients in floating point give the exact rational result, ties included."""
    from fractions import Fraction

    from proofs import round_fraction

    graph = GraphBuilder("g")
    x_name = graph.input("x", (3, 3, 4))
    axes = graph.constant("axes", np.array([1, 2]))
    (mean,) = graph.node("ReduceMean", [x_name, axes], ["mean"], keepdims=0)
    names = [graph.constant(f"q.{k}", np.float32([v])) for k, v in (("k", 1), ("i", 4), ("f", frac))]
    modes = {"rounding_mode": rounding, "overflow_mode": "SAT"}
    graph.output(graph.sparse("FixedPointQuant", [mean, *names], ["q"], **modes)[0])
    model = finalize(graph.build(), "ap_fixed<8,4>")
    steps = np.random.default_rng(seed).integers(-128, 128, (20, 3, 3, 4))
    got = everywhere(model, (steps / 16).astype(np.float32))
    for index, total in np.ndenumerate(steps.sum(axis=(1, 2))):
        value = Fraction(int(total), 16 * 9)
        assert got[index] == round_fraction(value * 2**frac, RoundingMode(rounding)) / 2**frac


def test_every_tensor_with_a_grid_is_annotated_for_qonnx() -> None:
    model = finalize(dense_graph(6).build(), "ap_ufixed<12,0>")
    proof = infer_grids(model)
    annotated = {a.tensor_name for a in model.graph.quantization_annotation}
    made = {n for node in model.graph.node for n in node.output}
    assert {n for n in made if proof.grids[n] is not None} <= annotated


def test_the_file_says_what_it_is() -> None:
    model = finalize(dense_graph(6).build(), "ap_ufixed<12,0>", {"packages": "maker 1.0"})
    assert (model.producer_name, model.producer_version) == ("sparse-qonnx", sparse_qonnx.__version__)
    assert read_metadata(model)["sparse_qonnx.source.packages"] == "maker 1.0"
    assert "Input 'x' [batch, 40]: values of ap_ufixed<12,0>." in model.doc_string
    assert "Made with maker 1.0." in model.doc_string
    said = {node.name: node.doc_string for node in model.graph.node}
    assert said["z"] == f"Result: {infer_grids(model).grids['z'].describe()}."
    again = finalize(dense_graph(6).build(), "ap_ufixed<12,0>", {"packages": "maker 1.0"})
    assert again.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)


def test_types_of_inputs_survive_renaming() -> None:
    model = finalize(dense_graph(6).build(), "ap_ufixed<12,0>")
    model.graph.input[0].name = model.graph.node[1].input[0] = "global_in"
    assert {k: str(v) for k, v in input_types(model).items()} == {"global_in": "ap_ufixed<12,0>"}


@pytest.mark.parametrize(
    ("body", "type_", "refused"),
    [
        ("y = Relu (x)", "ap_fixed<24,1>", ""),
        ("y = Relu (x)", "ap_ufixed<24,1>", ""),
        ("y = Relu (x)", "ap_ufixed<25,1>", "node 'Relu_0'.* 25 bits.*float32.*at most 24 bits"),
        ("y = Relu (x)", "ap_ufixed<8,100>", ""),
        ("y = Add (x, x)", "ap_ufixed<8,128>", r"\(Add\): needs 129 bits of magnitude.*float32.*at most 126"),
        ("y = Relu (x)", "ap_fixed<8,-128>", r"136 bits of magnitude.*float32.*at most 126"),
        ("a = Cast <to=11> (x) b = Relu (a) y = Cast <to=1> (b)", "ap_ufixed<53,1>", ""),
        (
            "a = Cast <to=11> (x) b = Relu (a) y = Cast <to=1> (b)",
            "ap_ufixed<54,1>",
            "54 bits.*float64.*at most 53 bits",
        ),
        ("a = Cast <to=11> (x) b = Cast <to=1> (a) y = Neg (b)", "ap_ufixed<24,1>", ""),
        (
            "a = Cast <to=11> (x) b = Cast <to=1> (a) y = Neg (b)",
            "ap_ufixed<30,1>",
            r"\(Cast\): needs 30 bits.*float32",
        ),
    ],
)
def test_what_is_computed_in_too_few_bits_is_refused(body: str, type_: str, refused: str, tmp_path: Path) -> None:
    """Only what the model gives at last may be the nearest float32."""
    model = onnx.parser.parse_model(
        f'<ir_version: 9, opset_import: ["": 19]> g (float[B, 3] x) => (float[B, 3] y) {{{body}}}'
    )
    for n, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{n}"
    model = state_input_precision(model, type_)
    if refused:
        with pytest.raises(PrecisionError, match=refused):
            sparse_qonnx.to_hls(model, tmp_path / "fw")
        assert not (tmp_path / "fw").exists()
    else:
        sparse_qonnx.to_hls(model, tmp_path / "fw")
