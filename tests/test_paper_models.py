"""The sixteen trained models of arXiv:2512.06208: published predictions, and every implementation value for value."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparse_qonnx as sq
from sparse_qonnx.runtime import run_tensors

pytestmark = [pytest.mark.keras, pytest.mark.csim, pytest.mark.slow]
keras = pytest.importorskip("keras")

MODELS = [(d, b, s) for d in ("jet", "sparsemnist") for b in ("8b", "16b") for s in "tsml"]
PRECISION = "ap_ufixed<18,1>"


@pytest.fixture(scope="module")
def paper(shared: Path) -> Any:
    source = shared / "paper" / "paper_models.py"
    if not source.is_file():
        pytest.skip("no ../shared/paper/paper_models.py")
    spec = importlib.util.spec_from_file_location("paper_models", source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("dataset", "bits", "size"), MODELS, ids=["-".join(m) for m in MODELS])
def test_paper_model(paper: Any, tmp_path: Path, dataset: str, bits: str, size: str) -> None:
    """The authors' predictions on the original events; on the input grid, 0 mismatches in every tensor everywhere."""
    x, predictions = paper.load(dataset)
    model = paper.build(dataset, bits, size)
    got = run_tensors(sq.export(model, tmp_path / "float.onnx"), {"x_in": x})["softmax"]
    want = predictions[f"{size}_{bits}"]
    tolerance = 5e-4 if (dataset, bits, size) == ("jet", "16b", "l") else 5e-6
    assert np.abs(got - want).max() <= tolerance
    assert (got.argmax(axis=1) == want.argmax(axis=1)).all()

    sq.export(model, tmp_path / "fixed.onnx", input_precision=PRECISION)
    project = sq.to_hls(tmp_path / "fixed.onnx", tmp_path / "firmware")
    project.compile()
    report = sq.verify(tmp_path / "fixed.onnx", x, model, project)
    assert report.ok, str(report)
    logits = {row.other.split(" ")[0] for row in report.table if row.tensor == "dense2" and row.tolerance == 0}
    assert {"Keras", "NumPy", "qonnx", "C-simulation"} <= logits


@pytest.mark.parametrize(("dataset", "latency"), [("jet", 140), ("sparsemnist", 146)])
def test_default_design_against_the_published(paper: Any, tmp_path: Path, dataset: str, latency: int) -> None:
    """A fifth of the multiplier and selector bits, no slower than the synthesis reports of the published firmware."""
    model = sq.export(paper.build(dataset, "8b", "l"), input_precision=PRECISION)
    found, published = (
        sq.to_hls(model, tmp_path / design, config={"design": design}).census() for design in ("balanced", "published")
    )
    assert 5 * found.headline_bits <= published.headline_bits
    assert found.interval <= 84 and found.latency <= latency
