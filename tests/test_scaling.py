"""What the definitions in NumPy cost: neighbours and cells are found by coordinate, never slot against slot."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sparse_qonnx import Network
from sparse_qonnx.errors import ModelFileError
from sparse_qonnx.files import read_model
from sparse_qonnx.hls import balance
from sparse_qonnx.hls.config import HlsConfig, LayerConfig
from sparse_qonnx.hls.factors import designs
from sparse_qonnx.hls.lower import lower
from sparse_qonnx.limits import Limits, using
from sparse_qonnx.ops import operators
from sparse_qonnx.runtime import affordable_batch
from strategies import seeds, sparse_maps

Array = NDArray[Any]


def slot_by_slot(features: Array, coords: Array, weights: Array, dilations: tuple[int, int], group: int) -> Array:
    """The convolution as its sentence says it: for each tap and slot, the slot at that distance."""
    batch, n, _ = features.shape
    filters, group_channels, kh, kw = weights.shape
    sums = np.zeros((batch, n, filters), features.dtype)
    top, left = (kh - 1) * dilations[0] // 2, (kw - 1) * dilations[1] // 2
    for dy, dx, b, i in np.ndindex(kh, kw, batch, n):
        wanted = coords[b, i] + (dy * dilations[0] - top, dx * dilations[1] - left)
        for j in range(n) if coords[b, i].any() else ():
            if coords[b, j].any() and (coords[b, j] == wanted).all():
                for f in range(filters):
                    first = f // (filters // group) * group_channels
                    sums[b, i, f] += features[b, j, first : first + group_channels] @ weights[f, :, dy, dx]
    return sums


@given(sparse_maps(), seeds, st.tuples(st.integers(1, 3), st.integers(1, 4)), st.tuples(*[st.integers(1, 3)] * 2))
def test_neighbours_are_those_at_the_distance(
    case: tuple[Array, Array, tuple[int, int]], seed: int, kernel: tuple[int, int], dilations: tuple[int, int]
) -> None:
    features, coords, _ = case
    features, coords = features[:2, :8], coords[:2, :8]
    rng = np.random.default_rng(seed)
    if rng.random() < 0.5:  # slots in any order, far from the origin
        order = rng.permutation(coords.shape[1])
        features, coords = features[:, order], np.where(coords > 0, coords + 2**40, 0)[:, order]
    channels = features.shape[2]
    weights = (rng.integers(-4, 5, (2 * channels, 1, *kernel)) / 8).astype(features.dtype)
    attributes = {"kernel_shape": kernel, "dilations": dilations, "group": channels}
    (found,) = operators()["SparseConv"].compute(features, coords, weights, **attributes)
    assert np.array_equal(found, slot_by_slot(features, coords, weights, dilations, channels))


@pytest.mark.parametrize("mode", ["average", "max"])
@given(case=sparse_maps(), kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_cells_are_pooled_one_by_one(mode: str, case: tuple[Array, Array, tuple[int, int]], kernel: Any) -> None:
    features, coords, (height, width) = case
    attributes = {"mode": mode, "kernel_shape": kernel, "spatial_shape": (height, width)}
    pooled, places = operators()["SparsePool"].compute(features, coords, **attributes)
    wanted, wanted_places = np.zeros_like(features), np.zeros_like(coords)
    for b in range(len(features)):
        members: dict[tuple[int, int], list[int]] = {}
        for i, (row, column) in enumerate(coords[b].tolist()):
            cell = (row - 1) // kernel[0] + 1, (column - 1) // kernel[1] + 1
            if row and cell[0] <= height // kernel[0] and cell[1] <= width // kernel[1]:
                members.setdefault(cell, []).append(i)
        for cell, slots in members.items():
            values = features[b, slots]
            full = len(slots) == kernel[0] * kernel[1]
            highest = values.max(axis=0) if full else np.maximum(values.max(axis=0), 0)
            average = values.sum(axis=0) / features.dtype.type(kernel[0] * kernel[1])
            wanted[b, slots[0]], wanted_places[b, slots[0]] = highest if mode == "max" else average, cell
    assert np.array_equal(pooled, wanted) and np.array_equal(places, wanted_places)


def filled(n: int) -> tuple[Array, Array]:
    """An event of 64 columns whose slots are all taken."""
    return np.ones((1, n, 2), np.float32), np.stack(np.divmod(np.arange(n), 64), axis=-1)[None] + 1


STEPS: dict[str, Callable[[Array, Array], Any]] = {
    "SparseConv": lambda x, coords: operators()["SparseConv"].compute(
        x, coords, np.ones((2, 2, 3, 3), np.float32), kernel_shape=(3, 3), dilations=(1, 1), group=1
    ),
    "SparsePool": lambda x, coords: operators()["SparsePool"].compute(
        x, coords, mode="max", kernel_shape=(2, 2), spatial_shape=(64, 64)
    ),
    "SparseToDense": lambda x, coords: operators()["SparseToDense"].compute(x, coords, spatial_shape=(64, 64)),
}


@pytest.mark.parametrize("name", STEPS)
def test_memory_does_not_grow_with_the_square_of_the_slots(name: str) -> None:
    """Four times the slots: N**2 would take sixteen times as much."""
    peaks = []
    for n in (512, 2048):
        given = filled(n)
        STEPS[name](*given)
        tracemalloc.start()
        STEPS[name](*given)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 6 * peaks[0], peaks


def network(slots: int, channels: int = 2) -> Any:
    net = Network("n")
    x = net.input_reduce(net.input("x", (32, 32, 1)), n_max_pixels=slots)
    x = net.sparse_conv(x, np.ones((channels, 1, 5, 5)), name="conv")
    x = net.sparse_conv(
        net.quant(x, bits=4, fractional_bits=0, signed=False), np.ones((1, channels, 5, 5)), name="last"
    )
    net.output(net.flatten(net.sparse_pool(x, (16, 16), mode="max")))
    return net.build("ap_ufixed<4,4>")


def test_a_batch_counts_what_a_convolution_gathers() -> None:
    """25 taps of 2 channels of 100 slots are more than any tensor of the network."""
    model = network(100)
    with using(Limits(batch_values=50 * 5000)):
        assert affordable_batch(model, 1000) == 50
        assert affordable_batch(model, 7) == 7
    with using(Limits(batch_values=4999)), pytest.raises(ModelFileError, match=r"5,000 values"):
        affordable_batch(model, 1)
    with using(Limits(sample_values=4999)), pytest.raises(ModelFileError, match=r"node 'last'.*5,000 values"):
        read_model(model.SerializeToString())


def test_every_design_has_its_place_in_the_schedule_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many steps the balance takes: only the search looks at the designs again and again."""
    calls: list[str] = []
    graph = lower(network(256, channels=4), HlsConfig())
    found = sum(len(designs(layer, LayerConfig())) for layer in graph.layers)
    original = balance.stage
    monkeypatch.setattr(balance, "stage", lambda layer: calls.append(layer.node) or original(layer))
    choices = balance.balance(graph, HlsConfig())
    assert any(choice.why.startswith("faster") for choice in choices.table), "no step was taken"
    assert len(calls) <= found


def test_the_measurement_measures_every_step() -> None:
    """A small network, and the exponents of what is known."""
    bench = Path(__file__).parents[1] / "bench"
    sizes = {"side": 16, "slots": 8, "channels": 2, "depth": 1, "units": 3}
    call = [sys.executable, str(bench / "scaling.py"), "--point", "depth", json.dumps(sizes)]
    run = subprocess.run(call, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    entries = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    assert [e["step"] for e in entries] == ["export", "session", "native", "NumPy", "firmware"]
    assert all(e["seconds"] > 0 and e["bytes"] >= 0 for e in entries)
    scaling = runpy.run_path(str(bench / "scaling.py"))
    points = {n: {"seconds": n**1.5, "bytes": 7e6 * n} for n in (10, 20, 40, 80)}
    assert [round(scaling["exponent"](points, what), 6) for what in ("seconds", "bytes")] == [1.5, 1.0]
    assert scaling["exponent"]({n: {"bytes": 10.0 * n} for n in points}, "bytes") is None, "noise"
    assert scaling["rows"]("depth", {"export": points})[-1] == ["exponent", "1.50 (1.00)"]
