"""Distributed arithmetic: adder graphs in Python integers, and as firmware."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from sparse_qonnx.errors import ConfigurationError, ToolError
from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.adder_graph import adder_graph
from sparse_qonnx.reference import run_reference

pytestmark = pytest.mark.csim
pytest.importorskip("da4ml")
STRATEGY = {"strategy": "distributed_arithmetic"}


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (1, 4), (5, 1), (4, 3), (24, 6)])
@pytest.mark.parametrize("density", [0.0, 0.4, 1.0])
def test_graph_is_the_matrix_and_its_limits_hold(inputs: int, outputs: int, density: float) -> None:
    rng = np.random.default_rng(inputs * 10 + outputs)
    weights = rng.integers(-40, 41, (inputs, outputs)) * (rng.random((inputs, outputs)) < density)
    weights = (weights << rng.integers(0, 4, outputs)).astype(object)  # even columns: shifts of outputs
    lo, hi = np.array([-9, 0, -3] * inputs)[:inputs], np.array([7, 5, -1] * inputs)[:inputs]
    graph = adder_graph(weights, lo, hi)
    assert (graph.matrix == weights).all() and graph.depth <= len(graph.adders)
    limits = graph.limits(lo, hi)
    for x in rng.integers(lo, hi, (50, inputs), endpoint=True).tolist():
        values = list(x)
        for a in graph.adders:
            second = values[a.second] << a.second_shift
            values.append((values[a.first] << a.first_shift) + (-second if a.is_difference else second))
        assert all(low <= value <= high for value, (low, high) in zip(values, limits, strict=True))


def test_firmware_is_exact_and_counts_no_multiplier(
    small_model: Path, small_events: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXXFLAGS", "-O0")
    project = to_hls(small_model, tmp_path / "firmware", config={"layers": {"dense": STRATEGY}})
    wanted = run_reference(small_model, {"image": small_events}, ["dense"])["dense"]
    np.testing.assert_array_equal(project.predict(small_events, tensor="dense").astype(np.float32), wanted)
    row = next(row for row in project.census().rows if row["layer"] == "dense")
    assert row["kernel"] == "dense_adders" and row["add_bits"] > 0 and row["interval"] == 1
    assert row["multiplications"] == row["constant_multiplications"] == row["select_bits"] == row["rom_bits"] == 0
    assert any("additions instead of" in note for note in project.notes)


def test_what_does_not_go_with_it(small_model: Path, tmp_path: Path) -> None:
    for more in ({"variant": "sparse"}, {"reuse_factor": 2}, {"weights": "bram"}):
        with pytest.raises(ConfigurationError, match="layer 'dense'"):
            to_hls(small_model, tmp_path / "firmware", config={"layers": {"dense": {**STRATEGY, **more}}})


def test_without_da4ml(small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "da4ml.cmvm", None)
    with pytest.raises(ToolError, match=r"da4ml is not installed.*sparse-qonnx\[csim\]"):
        to_hls(small_model, tmp_path / "firmware", config={"layers": {"dense": STRATEGY}})
