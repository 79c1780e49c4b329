"""The cross-checks: they agree where they should, and they notice a single wrong value."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from sparse_qonnx.comparison import Comparison, ComparisonTable
from sparse_qonnx.errors import InputDataError
from sparse_qonnx.files import read_model
from sparse_qonnx.graph import tensor_shape
from sparse_qonnx.implementations import interface_of
from sparse_qonnx.runtime import run_tensors
from sparse_qonnx.verify import verify

TENSORS = ("conv", "dense", "softmax")


class FakeProject:
    """A C-simulation that gives what stock onnxruntime gives, changed by `change`."""

    tolerances: dict[str, float] = {}  # noqa: RUF012
    left_out: tuple[str, ...] = ()

    def __init__(self, path: Path, change: Any = lambda _, value: value, tensors: tuple[str, ...] = TENSORS) -> None:
        self._model, self._change = read_model(path), change
        shapes = {name: SimpleNamespace(shape=shape) for name, shape in interface_of(self._model).tensors.items()}
        self.inputs = [value.name for value in self._model.graph.input]
        self.outputs = [value.name for value in self._model.graph.output]
        inputs = {value.name: SimpleNamespace(shape=tensor_shape(value)[1:]) for value in self._model.graph.input}
        self.tensors = inputs | {name: shapes[name] for name in tensors}

    def is_made_from(self, model: onnx.ModelProto) -> bool:
        return model.SerializeToString(deterministic=True) == self._model.SerializeToString(deterministic=True)

    def predict_tensors(self, batch: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        found = run_tensors(self._model, batch, names)
        return {name: self._change(name, value.copy()) for name, value in found.items()}


def test_all_implementations_agree(small_model: Path, small_events: np.ndarray) -> None:
    report = verify(small_model, small_events)
    assert report.ok, str(report)
    assert report.input_values_changed == 0
    assert {row.tensor for row in report.table} >= {
        "reduce",
        "reduce.coords",
        "conv.iq",
        "pool",
        "flatten",
        "dense",
        "softmax",
    }
    assert {row.tensor for row in report.table if row.tolerance} == {"softmax"}
    assert {"NumPy", "qonnx"} <= {row.other for row in report.table}


def test_inputs_are_put_on_the_grid_and_counted(small_model: Path, small_events: np.ndarray) -> None:
    off_grid = small_events.copy()
    off_grid[3, 2, 2, 0], off_grid[4, 1, 1, 0] = 0.3, 17.0
    report = verify(small_model, off_grid)
    assert report.ok
    assert report.input_values_changed == 2


def test_one_wrong_value_is_found(small_model: Path, small_events: np.ndarray) -> None:
    def change(name: str, value: np.ndarray) -> np.ndarray:
        if name == "dense":
            value[5, 1] += 0.125
        return value

    report = verify(small_model, small_events, project=FakeProject(small_model, change))
    assert not report.ok
    (wrong,) = [row for row in report.table if not row.ok]
    assert (wrong.tensor, wrong.other, wrong.mismatches, wrong.largest) == ("dense", "C-simulation", 1, 0.125)
    assert "MISMATCH: 1 values in dense" in str(report)


def test_a_changed_file_does_not_agree_with_its_model(small_model: Path, small_events: np.ndarray) -> None:
    """The reference is the file: a project of another file differs in every tensor that depends on the change."""
    other = onnx.load(small_model)
    (kernel,) = [t for t in other.graph.initializer if t.name == "conv.kernel"]
    kernel.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(kernel), kernel.name))
    report = verify(other, small_events, project=FakeProject(small_model))
    assert not report.ok
    assert {row.tensor for row in report.table if not row.ok} == set(TENSORS)
    assert any("made from another file" in note for note in report.notes)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite_values_are_compared(value: float) -> None:
    row = Comparison("t", "a", "b")
    row.add(np.array([value, 1.0]), np.array([value, 1.0]))
    assert row.ok
    row.add(np.array([value]), np.array([1.0]))
    assert row.mismatches == 1
    assert row.largest == np.inf


def test_shapes_that_differ_are_mismatches() -> None:
    row = Comparison("t", "a", "b")
    row.add(np.zeros((2, 3)), np.zeros((3, 2)))
    assert row.mismatches == 6


def test_float64_is_compared_with_float32_as_float32() -> None:
    row = Comparison("t", "a", "b")
    row.add(np.array([1 / 3], np.float32), np.array([1 / 3]))
    assert row.ok
    row.add(np.array([1 / 3]), np.array([np.float64(np.float32(1 / 3))]))
    assert not row.ok


def test_table_has_a_row_for_each_tensor() -> None:
    rows = [Comparison("t", "a", other, values=4) for other in ("b", "c")]
    text = str(ComparisonTable([*rows, Comparison("t", "a", "d", values=4, mismatches=1, largest=0.5)]))
    (line,) = [line for line in text.splitlines() if line.split()[:1] == ["t"]]
    assert line.split() == ["t", "4", "0", "0", "1", "0.5", "0"]


@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (np.zeros((2, 6, 7, 1), np.float32), r"has shape \[2, 6, 7, 1\]"),
        (np.zeros((0, 6, 8, 1), np.float32), r"has \[0\] events"),
        (np.zeros((2, 6, 8, 1), np.complex64), "has type complex64"),
        ({"picture": np.zeros((2, 6, 8, 1), np.float32)}, "is not an input of the model"),
    ],
)
def test_events_that_do_not_fit(small_model: Path, x: Any, problem: str) -> None:
    with pytest.raises(InputDataError, match=problem):
        verify(small_model, x)
