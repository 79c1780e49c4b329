"""The balance: what it chooses, what it keeps, what it refuses; schedules by the published reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.hls.balance import Choices, balance
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.lower import lower
from sparse_qonnx.passes import finalize

SLOTS = 12


def small_model() -> ModelProto:
    """Reduction, two convolutions around a pooling, a dense layer: every kernel with factors."""
    graph, rng = GraphBuilder("small"), np.random.default_rng(0)

    def constant(name: str, *shape: int) -> str:
        return graph.quantized_constant(name, (rng.integers(-7, 8, shape) / 8).astype(np.float32))

    image = graph.input("image", [16, 20, 1])
    names = ["reduce", "reduce.coords"]
    x, coords = graph.sparse("InputReduce", [image], names, n_max_pixels=SLOTS, threshold=0.0)
    for name, filters, channels in (("conv1", 4, 1), ("conv2", 2, 4)):
        inputs = [x, coords, constant(f"{name}.kernel", filters, channels, 3, 3), constant(f"{name}.bias", filters)]
        (x,) = graph.sparse("SparseConv", inputs, [name], kernel_shape=[3, 3], dilations=[1, 1], group=1)
        if name == "conv1":
            options = {"mode": "max", "kernel_shape": [2, 2], "spatial_shape": [16, 20]}
            x, coords = graph.sparse("SparsePool", [x, coords], ["pool", "pool.coords"], **options)
    (x,) = graph.sparse("SparseToDense", [x, coords], ["flatten.dense"], spatial_shape=[8, 10])
    (x,) = graph.node("Flatten", [x], ["flatten"])
    (x,) = graph.node("MatMul", [x, constant("dense.kernel", 160, 5)], ["dense.matmul"])
    (x,) = graph.node("Add", [x, constant("dense.bias", 5)], ["dense"])
    graph.output(x)
    return finalize(graph.build(), "ap_ufixed<6,1>")


@pytest.fixture(scope="module")
def model() -> ModelProto:
    return small_model()


def chosen(model: ModelProto, **options: Any) -> Choices:
    config = HlsConfig.read(options)
    return balance(lower(model, config), config)


def test_default_is_as_slow_as_the_reduction(model: ModelProto) -> None:
    choices = chosen(model)
    rows = {row.layer: row for row in choices.table}
    assert rows["reduce"].kernel == "input_reduce_scan" and rows["reduce"].factors == {"pixels_per_cycle": 80}
    assert choices.schedule.interval == rows["reduce"].interval
    assert all(stage.interval <= choices.schedule.interval for stage in choices.schedule.stages)
    assert rows["dense"].kernel == "sparse_dense"
    assert [la.node for la in choices.graph.layers if la.trace_only] == ["flatten.dense"]


def test_raster_order_holds_before_pooling_only(model: ModelProto) -> None:
    order = {la.node: la.call.config.get("is_raster_order") for la in chosen(model).graph.layers}
    assert (order["conv1"], order["conv2"]) == (True, False)


def test_slower_target_needs_fewer_multipliers_and_a_budget_bounds_them(model: ModelProto) -> None:
    fast, slow = (chosen(model, target_interval=n, latency_budget=10**4) for n in (30, 400))
    count = [sum(row.multipliers for row in choices.table) for choices in (fast, slow)]
    assert count[0] > count[1]
    assert chosen(model, target_interval=400, latency_budget=10**4, multiplier_budget=count[1])
    with pytest.raises(ConfigurationError, match=rf"multiplier_budget is {count[1] - 1}, .*needs {count[1]}.*or more"):
        chosen(model, target_interval=400, latency_budget=10**4, multiplier_budget=count[1] - 1)


def test_latency_budget_is_met(model: ModelProto) -> None:
    latest = chosen(model, latency_budget=10**4).schedule.latency
    with pytest.raises(ConfigurationError, match=r"takes [0-9]+ cycles at its fastest") as refused:
        chosen(model, latency_budget=10)
    fastest = int(refused.value.allowed.split()[0])
    for budget in (latest, (latest + fastest) // 2, fastest):
        assert chosen(model, latency_budget=budget).schedule.latency <= budget


def test_what_is_asked_for_is_kept(model: ModelProto) -> None:
    layers = {
        "reduce": {"variant": "chunk", "pixels_per_cycle": 7},
        "conv1": {"variant": "gather", "pixels_per_cycle": 5},
        "conv2": {"inputs_per_cycle": 3, "channels_per_cycle": 2},
        "pool": {"pixels_per_cycle": 4},
        "dense": {"variant": "matrix", "reuse_factor": 16},
    }
    choices = chosen(model, layers=layers)
    rows = {row.layer: row for row in choices.table}
    for name, asked in layers.items():
        for key, value in asked.items():
            assert key == "variant" or rows[name].factors[key] == value
    assert rows["conv1"].kernel == "sparse_conv_gather" and rows["dense"].kernel == "dense_reuse"
    assert not any(la.trace_only for la in choices.graph.layers)


REFUSED = [
    ({"target_interval": 5}, "target_interval is 5, but layer 'reduce' takes .* or more"),
    ({"layers": {"conv1": {"pixels_per_cycle": 13}}}, "pixels_per_cycle is 13.*1 to 12"),
    ({"layers": {"conv1": {"filters_per_cycle": 3}}}, "filters_per_cycle is 3.*1, 2, 4"),
    ({"layers": {"conv1": {"variant": "serial"}}}, "variant is 'serial'.*pairs, gather"),
    ({"layers": {"conv1": {"variant": "gather", "inputs_per_cycle": 2}}}, "do not go together"),
    ({"layers": {"dense": {"variant": "sparse", "reuse_factor": 4}}}, "do not go together"),
    ({"layers": {"reduce": {"variant": "chunk", "pixels_per_cycle": 30}}}, "pixels_per_cycle is 30"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_refused(model: ModelProto, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        chosen(model, **options)


def test_published_design_has_the_published_interval(model: ModelProto) -> None:
    """A tree that runs once per slot, every third cycle for 320 pixels; everything else at once."""
    choices = chosen(model, design="published")
    assert choices.schedule.interval == 3 * SLOTS + 4
    kernels = [la.call.function_name for la in choices.graph.layers]
    assert {"input_reduce_tree", "sparse_to_dense", "dense"} <= set(kernels)
    pairs = [la for la in choices.graph.layers if la.call.function_name == "sparse_conv_pairs"]
    assert all(la.call.config["pixels_per_cycle"] == la.call.config["inputs_per_cycle"] == SLOTS for la in pairs)
