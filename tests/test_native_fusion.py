"""Fusion for the native kernels changes no value: random graphs, intermediate outputs, threads, published models."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from native import Array, assert_same, requires_library
from sparse_qonnx.fixed import OverflowMode, RoundingMode
from sparse_qonnx.fusion import FUSED_DOMAIN, fuse
from sparse_qonnx.graph import QUANT_DOMAIN, GraphBuilder
from sparse_qonnx.passes import finalize
from sparse_qonnx.runtime import InferenceSession, with_outputs

pytestmark = requires_library

INPUT = "ap_fixed<7,3>"
SEEDS = st.integers(0, 2**32 - 1)


def random_graph(rng: np.random.Generator, precision: str | None = INPUT) -> ModelProto:
    """A sparse network whose every choice is drawn: quantizers by pixel, by channel, by element, of both kinds."""
    g = GraphBuilder("random")
    side = [int(s) for s in rng.integers(4, 10, 2)]
    channels = int(rng.integers(1, 4))

    def weights(*shape: int) -> Array:
        return rng.integers(-7, 8, shape).astype(np.float32) / 8

    def quantizer(x: str, shape: list[int], coords: str | None = None) -> str:
        if rng.random() < 0.3:
            width, scale = np.float32(rng.integers(4, 8)), np.float32(2.0 ** -int(rng.integers(1, 4)))
            parts = {"scale": scale, "zero_point": np.float32(0), "bits": width}
            names = [g.constant(f"{x}.{k}", np.array(v)) for k, v in parts.items()]
            modes = {"signed": int(rng.integers(2)), "narrow": 0, "rounding_mode": str(rng.choice(["ROUND", "FLOOR"]))}
            return g.node("Quant", [x, *names], [f"{x}.q"], domain=QUANT_DOMAIN, **modes)[0]
        own = shape[-3 if coords else -1 :] if rng.random() < 0.7 else [1]
        bits = [rng.integers(low, high, own).astype(np.float32) for low, high in ((0, 2), (0, 4), (0, 5))]
        names = [g.constant(f"{x}.{k}", b) for k, b in zip("kif", bits, strict=True)]
        sat = [OverflowMode.SAT, OverflowMode.SAT_SYM, OverflowMode.WRAP]
        modes = {"rounding_mode": str(rng.choice(list(RoundingMode))), "overflow_mode": str(rng.choice(sat))}
        by_pixel = [coords] if coords and len(own) == 3 else []
        return g.sparse("FixedPointQuant", [x, *names, *by_pixel], [f"{x}.fq"], **modes)[0]

    image = g.input("image", [*side, channels])
    slots = int(rng.integers(1, 40))
    x, coords = g.sparse("InputReduce", [image], ["reduce", "reduce.coords"], n_max_pixels=slots, threshold=0.25)
    for n in range(int(rng.integers(1, 4))):
        if rng.random() < 0.5:
            x = quantizer(x, [*side, channels], coords)
        filters, size = int(rng.integers(1, 6)), [int(k) for k in rng.integers(1, 5, 2)]
        w = g.quantized_constant(f"conv{n}.kernel", weights(filters, channels, *size))
        bias = [g.quantized_constant(f"conv{n}.bias", weights(filters))] if rng.random() < 0.7 else []
        (x,) = g.sparse("SparseConv", [x, coords, w, *bias], [f"conv{n}"], kernel_shape=size)
        channels = filters
        if rng.random() < 0.7:
            (x,) = g.node("Relu", [x], [f"relu{n}"])
        x = quantizer(x, [*side, channels], coords if rng.random() < 0.5 else None)
        if rng.random() < 0.4:
            pool = {"mode": str(rng.choice(["average", "max"])), "kernel_shape": [2, 2], "spatial_shape": side}
            x, coords = g.sparse("SparsePool", [x, coords], [f"pool{n}", f"pool{n}.coords"], **pool)
            side = [s // 2 for s in side]
            if min(side) < 2:
                break
    (x,) = g.sparse("SparseToDense", [x, coords], ["dense_image"], spatial_shape=side)
    if rng.random() < 0.3:
        x = quantizer(x, [*side, channels])
    (x,) = g.node("Flatten", [x], ["flat"])
    size = side[0] * side[1] * channels
    if rng.random() < 0.6:
        x = quantizer(x, [size])
    for n in range(int(rng.integers(1, 3))):
        units = int(rng.choice([1, 3, 4, 17, 21]))
        (x,) = g.node("MatMul", [x, g.quantized_constant(f"dense{n}.kernel", weights(size, units))], [f"matmul{n}"])
        if rng.random() < 0.8:
            (x,) = g.node("Add", [x, g.quantized_constant(f"dense{n}.bias", weights(units))], [f"dense{n}"])
        if rng.random() < 0.6:
            (x,) = g.node("Relu", [x], [f"dense_relu{n}"])
        x = quantizer(x, [units])
        size = units
    g.output(x)
    return finalize(g.build(), precision)


def events(rng: np.random.Generator, model: ModelProto, batch: int) -> dict[str, Array]:
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
    x = rng.integers(-64, 64, (batch, *shape)) / 16
    return {"image": (x * (rng.random(x.shape) < rng.random())).astype(np.float32)}


def assert_fusion_changes_nothing(model: ModelProto, feed: dict[str, Array]) -> None:
    fused = InferenceSession(model).run(None, feed)
    assert_same(fused, InferenceSession(model, fuse=False).run(None, feed))
    assert_same(fused, InferenceSession(model, kernels="function").run(None, feed))


def fused_ops(model: ModelProto) -> list[str]:
    return [node.op_type for node in fuse(model).graph.node if node.domain == FUSED_DOMAIN]


@given(SEEDS, st.integers(0, 6))
@settings(max_examples=25)
def test_random_graphs(seed: int, batch: int) -> None:
    rng = np.random.default_rng(seed)
    model = random_graph(rng)
    assert_fusion_changes_nothing(model, events(rng, model, batch))


@given(SEEDS)
@settings(max_examples=15)
def test_intermediate_tensors_that_are_asked_for(seed: int) -> None:
    """A tensor somebody wants to see is not fused away, and is the same."""
    rng = np.random.default_rng(seed)
    model = random_graph(rng)
    names = [v.name for v in model.graph.value_info]
    wanted = with_outputs(model, rng.permutation(names)[: int(rng.integers(1, 5))].tolist())
    assert_fusion_changes_nothing(wanted, events(rng, model, 3))


@given(SEEDS)
@settings(max_examples=15)
def test_values_that_lie_on_no_grid(seed: int) -> None:
    """NaN and infinities come out as they would, also where the sums are added up in another order."""
    rng = np.random.default_rng(seed)
    model = random_graph(rng)
    feed = events(rng, model, 4)
    odd = rng.choice(np.array([np.nan, np.inf, -np.inf, -0.0], np.float32), feed["image"].shape)
    feed["image"] = np.where(rng.random(odd.shape) < 0.05, odd, feed["image"])
    assert_fusion_changes_nothing(model, feed)


def layers(precision: str | None, quantized: bool) -> ModelProto:
    g = GraphBuilder("layers")
    image = g.input("image", [6, 6, 1])
    x, coords = g.sparse("InputReduce", [image], ["reduce", "reduce.coords"], n_max_pixels=9, threshold=0.0)
    w = g.quantized_constant("conv.kernel", np.ones((2, 1, 3, 3), np.float32))
    (x,) = g.sparse("SparseConv", [x, coords, w], ["conv"], kernel_shape=[3, 3])
    (x,) = g.node("Relu", [x], ["relu"])
    if quantized:
        bits = [g.constant(f"q.{k}", np.full(2, v, np.float32)) for k, v in (("k", 0), ("i", 4), ("f", 3))]
        modes = {"rounding_mode": "RND", "overflow_mode": "SAT"}
        (x,) = g.sparse("FixedPointQuant", [x, *bits], ["quantized"], **modes)
    (x,) = g.sparse("SparseToDense", [x, coords], ["dense_image"], spatial_shape=[6, 6])
    (x,) = g.node("Flatten", [x], ["flat"])
    (x,) = g.node("MatMul", [x, g.quantized_constant("kernel", np.full((72, 3), 0.5, np.float32))], ["matmul"])
    (x,) = g.node("Add", [x, g.quantized_constant("bias", np.ones(3, np.float32))], ["dense"])
    g.output(x)
    return finalize(g.build(), precision)


@pytest.mark.parametrize(
    ("precision", "quantized", "expected"),
    [
        ("ap_fixed<8,4>", False, ["SparseConv", "SparseDense"]),
        (None, True, ["SparseConv", "SparseDense"]),  # behind a quantizer everything is on a grid
        (None, False, ["SparseConv"]),  # nothing is proven: the MatMul keeps its order
    ],
)
def test_sums_are_reordered_only_where_they_are_proven_exact(
    precision: str | None, quantized: bool, expected: list[str]
) -> None:
    model = layers(precision, quantized)
    assert fused_ops(model) == expected
    x = np.random.default_rng(5).random((50, 6, 6, 1), np.float32)
    x = x if precision is None else np.round(x * 16) / 16
    assert_same(*(InferenceSession(model, fuse=fuse).run(None, {"image": x}) for fuse in (True, False)))


def test_what_is_fused_can_be_asked_for() -> None:
    model = layers("ap_fixed<8,4>", True)
    assert "MatMul" not in [n.op_type for n in fuse(model).graph.node]
    kept = fuse(with_outputs(model, ["matmul", "conv"]))
    expected = ["InputReduce", "SparseConv", "Relu", "Quant", "SparseDense", "Add"]
    assert [n.op_type for n in kept.graph.node] == expected


def test_the_model_that_is_given_stays_as_it_is() -> None:
    model = layers("ap_fixed<8,4>", True)
    before = model.SerializeToString(deterministic=True)
    InferenceSession(model)
    assert model.SerializeToString(deterministic=True) == before
    assert onnx.load_from_string(before) == model


def test_every_event_has_its_own_pixels_outside_the_image() -> None:
    """Errors of fused nodes name what is wrong, as those of single nodes do."""
    model = layers("ap_fixed<8,4>", True)
    for node in model.graph.node:
        if node.op_type == "SparseToDense":
            node.attribute[0].ints[:] = [3, 24 // 2]  # the same number of pixels, another image
    model.graph.value_info.remove(next(v for v in model.graph.value_info if v.name == "dense_image"))
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("dense_image", 1, ["batch", 3, 12, 2]))
    assert "SparseDense" in fused_ops(model)
    x = np.zeros((3, 6, 6, 1), np.float32)
    x[2, 5, 5] = 1
    with pytest.raises(Exception, match=r"SparseDense node 'matmul'.*coords\[2, 0\] = \(6, 6\) lies outside .* 3 x 12"):
        InferenceSession(model).run(None, {"image": x})


def test_two_fused_sessions_in_eight_threads() -> None:
    rng = np.random.default_rng(3)
    model = random_graph(np.random.default_rng(8))
    sessions = [InferenceSession(model), InferenceSession(model)]
    jobs = [events(rng, model, batch) for batch in (1, 7, 300)]
    expected = [InferenceSession(model, kernels="function").run(None, feed) for feed in jobs]

    def work(job: int) -> None:
        for _ in range(5):
            assert_same(sessions[job % 2].run(None, jobs[job % 3]), expected[job % 3])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))


@pytest.mark.keras
@pytest.mark.parametrize("dataset", ["jet", "sparsemnist"])
@pytest.mark.parametrize("bits", ["8b", "16b"])
@pytest.mark.parametrize("precision", [None, "ap_ufixed<18,1>"])
def test_published_models(shared: Path, tmp_path: Path, dataset: str, bits: str, precision: str | None) -> None:
    pytest.importorskip("keras")
    import importlib.util

    import sparse_qonnx as sq

    spec = importlib.util.spec_from_file_location("paper_models", shared / "paper" / "paper_models.py")
    assert spec is not None and spec.loader is not None
    paper: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(paper)
    model = sq.export(paper.build(dataset, bits, "l"), tmp_path / "model.onnx", input_precision=precision)
    x, _ = paper.load(dataset)
    x = x if precision is None else np.floor(x * 2**17) / 2**17
    assert fused_ops(model) == ["SparseConv", "SparseConv", "SparseDense"]
    assert_fusion_changes_nothing(model, {"x_in": x})
