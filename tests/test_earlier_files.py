"""Files that earlier versions wrote: read, run and made into firmware as then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import sparse_qonnx as sq
from sparse_qonnx.errors import ModelFileError

AVERAGE = Path(__file__).parent / "golden" / "earlier" / "average_of_3x3.onnx"
"""InputReduce, SparseConv, SparsePool with a body that knows no sums, Flatten, MatMul."""


def events(n: int = 40) -> np.ndarray:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 64, (n, 12, 12, 1)) * (rng.random((n, 12, 12, 1)) < rng.random((n, 1, 1, 1)) / 4)
    return (x / 16).astype(np.float32)


@pytest.mark.parametrize("kernels", ["native", "function"])
def test_they_run_as_in_stock_onnxruntime(kernels: str) -> None:
    x = events()
    (wanted,) = onnxruntime.InferenceSession(AVERAGE.read_bytes()).run(None, {"image": x})
    (found,) = sq.InferenceSession(AVERAGE, kernels=kernels).run(None, {"image": x})
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.csim
def test_they_become_firmware(tmp_path: Path) -> None:
    project = sq.to_hls(AVERAGE, tmp_path / "fw")
    project.compile()
    assert sq.verify(AVERAGE, events(), project=project).ok


def test_a_changed_body_is_still_refused() -> None:
    model = onnx.load(AVERAGE)
    (pool,) = (function for function in model.functions if function.name == "SparsePool")
    next(node for node in pool.node if node.op_type == "Greater").op_type = "Less"
    with pytest.raises(ModelFileError, match="SparsePool"):
        sq.InferenceSession(model)


def test_todays_modes_have_todays_body() -> None:
    """A tool that merges an earlier file with one of today must not run its sums with a body that divides."""
    model = onnx.load(AVERAGE)
    (pool,) = (node for node in model.graph.node if node.op_type == "SparsePool")
    next(a for a in pool.attribute if a.name == "mode").s = b"sum"
    x = events()
    results = [
        sq.InferenceSession(model, kernels=kernels).run(None, {"image": x})[0] for kernels in ("function", "native")
    ]
    np.testing.assert_array_equal(*results)
    (averages,) = sq.InferenceSession(AVERAGE).run(None, {"image": x})
    assert (results[0] != averages).any()
