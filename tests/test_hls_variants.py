"""Every kernel variant with serial, middle and full parallel factors, C-simulated: every tensor is the reference's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.hls import to_hls
from sparse_qonnx.passes import finalize
from sparse_qonnx.passes.infer_grids import infer_grids
from sparse_qonnx.reference import run_reference

pytestmark = pytest.mark.csim

HEIGHT, WIDTH, SLOTS = 10, 9, 7
PRECISION = "ap_fixed<6,2>"


def network(mode: str) -> ModelProto:
    """Two channels; an even, dilated kernel before a pooling that leaves partial windows, groups behind it."""
    graph, rng = GraphBuilder("variants"), np.random.default_rng(5)

    def constant(name: str, *shape: int) -> str:
        weights = rng.integers(-7, 8, shape) * (rng.random(shape) < 0.8) / 8
        return graph.quantized_constant(name, weights.astype(np.float32))

    def conv(name: str, x: str, coords: str, filters: int, kernel: tuple[int, int], **options: Any) -> str:
        channels = graph.shape(x)[-1] // options["group"]
        inputs = [x, coords, constant(f"{name}.kernel", filters, channels, *kernel), constant(f"{name}.bias", filters)]
        return str(graph.sparse("SparseConv", inputs, [name], kernel_shape=list(kernel), **options)[0])

    image = graph.input("image", [HEIGHT, WIDTH, 2])
    names = ["reduce", "reduce.coords"]
    x, coords = graph.sparse("InputReduce", [image], names, n_max_pixels=SLOTS, threshold=0.25)
    x = conv("conv1", x, coords, 4, (3, 2), dilations=[1, 2], group=1)
    (x,) = graph.node("Relu", [x], ["relu1"])
    formats = [graph.constant(f"quant.{k}", np.array(v, np.float32)) for k, v in (("k", 0), ("i", 2), ("f", 3))]
    modes = {"rounding_mode": "RND_CONV", "overflow_mode": "SAT"}
    (x,) = graph.sparse("FixedPointQuant", [x, *formats], ["quant"], **modes)
    options = {"mode": mode, "kernel_shape": [2, 2], "spatial_shape": [HEIGHT, WIDTH]}
    x, coords = graph.sparse("SparsePool", [x, coords], ["pool", "pool.coords"], **options)
    x = conv("conv2", x, coords, 2, (3, 3), dilations=[1, 1], group=2)
    (x,) = graph.sparse("SparseToDense", [x, coords], ["flatten.dense"], spatial_shape=[HEIGHT // 2, WIDTH // 2])
    (x,) = graph.node("Flatten", [x], ["flatten"])
    (x,) = graph.node("MatMul", [x, constant("dense.kernel", 40, 3)], ["dense.matmul"])
    (x,) = graph.node("Add", [x, constant("dense.bias", 3)], ["dense"])
    graph.output(x)
    return finalize(graph.build(), PRECISION)


def images(n_events: int) -> np.ndarray:
    """Empty, one pixel, exactly the budget, one more, full; the rest anything between."""
    rng, kind = np.random.default_rng(1), FixedPointType.parse(PRECISION)
    values = rng.integers(kind.lowest, kind.highest, (n_events, HEIGHT, WIDTH, 2), endpoint=True)
    share = np.linspace(0, 0.4, n_events)[:, None, None]
    values[:, :, :, 0] = np.where(rng.random(values.shape[:3]) < share, np.abs(values[:, :, :, 0]) // 2 + 5, -1)
    for event, count in enumerate((0, 1, SLOTS, SLOTS + 1, HEIGHT * WIDTH)):
        flat = np.full(HEIGHT * WIDTH, -1)
        flat[rng.permutation(HEIGHT * WIDTH)[:count]] = 6 + event
        values[event, :, :, 0] = flat.reshape(HEIGHT, WIDTH)
    return (values * 2.0**-kind.frac).astype(np.float32)


def reduction(variant: str, pixels: int | None = None) -> dict[str, Any]:
    return {"variant": variant} | ({} if pixels is None else {"pixels_per_cycle": pixels})


def pairs(outputs: int, inputs: int, filters: int, channels: int) -> dict[str, Any]:
    factors = {"pixels_per_cycle": outputs, "inputs_per_cycle": inputs}
    return {"variant": "pairs", **factors, "filters_per_cycle": filters, "channels_per_cycle": channels}


SERIAL = {
    "reduce": reduction("stream"),
    "conv1": pairs(1, 1, 1, 1),
    "pool": {"pixels_per_cycle": 1},
    "conv2": pairs(1, 1, 2, 1),
    "dense": {"variant": "sparse", "pixels_per_cycle": 1},
}
MIDDLE = {
    "reduce": reduction("chunk", 4),
    "conv1": pairs(2, 3, 2, 1),
    "pool": {"pixels_per_cycle": 3},
    "conv2": pairs(3, 7, 2, 2),
    "dense": {"variant": "sparse", "pixels_per_cycle": 3},
}
FULL = {
    "reduce": reduction("tree"),
    "conv1": pairs(SLOTS, SLOTS, 4, 2),
    "pool": {"pixels_per_cycle": SLOTS},
    "conv2": pairs(SLOTS, SLOTS, 2, 2),
    "dense": {"variant": "sparse", "pixels_per_cycle": SLOTS},
}
GATHER = {
    "reduce": reduction("scan", 2 * WIDTH),
    "conv1": {"variant": "gather", "pixels_per_cycle": 2},
    "conv2": {"variant": "gather", "pixels_per_cycle": SLOTS},
    "dense": {"variant": "matrix", "reuse_factor": 7},
}
WHOLE = {
    "reduce": reduction("chunk", HEIGHT * WIDTH),
    "conv1": {"variant": "gather", "pixels_per_cycle": SLOTS},
    "conv2": {"variant": "gather", "pixels_per_cycle": 1},
    "dense": {"variant": "matrix", "reuse_factor": 1},
}
CASES = {"serial": SERIAL, "middle": MIDDLE, "full": FULL, "gather": GATHER, "whole": WHOLE}


@pytest.fixture(autouse=True)
def quick_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few events: compiling is what takes the time."""
    monkeypatch.setenv("CXXFLAGS", "-O0")


@pytest.fixture(scope="module", params=["max", "average"])
def case(request: pytest.FixtureRequest) -> tuple[ModelProto, np.ndarray, Mapping[str, np.ndarray]]:
    model, x = network(request.param), images(60)
    names = [name for name in infer_grids(model).grids if name in _produced(model)]
    names += ["reduce.coords", "pool.coords"]
    return model, x, run_reference(model, {"image": x}, names)


def _produced(model: ModelProto) -> set[str]:
    return {name for node in model.graph.node for name in node.output}


@pytest.mark.parametrize("factors", CASES.values(), ids=CASES)
def test_variants_are_exact(
    case: Any, factors: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXXFLAGS", "-O0")  # few events: compiling is what takes the time
    model, x, wanted = case
    project = to_hls(model, tmp_path / "firmware", config={"layers": factors})
    names = [name for name in project.tensors if name in wanted]
    assert {"conv1", "relu1", "quant", "pool", "pool.coords", "conv2", "flatten", "dense"} <= set(names)
    found = project.predict_tensors(x, names)
    for name in names:
        np.testing.assert_array_equal(found[name].astype(wanted[name].dtype), wanted[name], err_msg=name)


def test_census_counts_every_variant_and_its_loops(tmp_path: Path) -> None:
    """The instrument sees the trip counts of the schedule, and no kernel needs the value of data."""
    model = network("max")
    for name, factors in CASES.items():
        project = to_hls(model, tmp_path / name, config={"layers": factors})
        census = project.census()
        assert census.headline_bits > 0
        assert all(layer.cycles <= layer.latency + 1 for layer in census.layers)


@pytest.mark.keras
def test_a_random_network_in_several_designs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reduction and every level of parallel factors; `make variants` runs more."""
    pytest.importorskip("sparsepixels")
    monkeypatch.setenv("CXXFLAGS", "-O0")
    from run_variants import Tally, drawn

    tally = Tally()
    for name, model, events, _ in drawn(1, 0):
        tally.take(name, model, events, 1)
    assert not tally.failures and tally.designs >= 2 and tally.values > 0
