"""The sixteen trained models of arXiv:2512.06208, on the original events."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_models import assert_exact
from sparse_qonnx.fixed import FixedPointType

pytestmark = pytest.mark.keras
keras = pytest.importorskip("keras")

MODELS = [(d, b, s) for d in ("jet", "sparsemnist") for b in ("8b", "16b") for s in "tsml"]


@pytest.fixture(scope="module")
def paper(shared: Path) -> Any:
    source = shared / "paper" / "paper_models.py"
    if not source.is_file():
        pytest.skip("no ../shared/paper/paper_models.py")
    spec = importlib.util.spec_from_file_location("paper_models", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "bits", "size"), MODELS, ids="-".join)
def test_paper_model(paper: Any, dataset: str, bits: str, size: str) -> None:
    """Authors' predictions on the original events; every tensor exact on events put on the grid."""
    from sparse_qonnx.runtime import run_tensors

    x, predictions = paper.load(dataset)
    model = paper.build(dataset, bits, size)
    precision = "ap_ufixed<18,1>"
    proto = assert_exact(model, FixedPointType.parse(precision).quantize(x[:40]), precision)
    got = run_tensors(proto, {"x_in": x})["softmax"]
    want = predictions[f"{size}_{bits}"]
    tolerance = 5e-4 if (dataset, bits, size) == ("jet", "16b", "l") else 5e-6
    assert np.abs(got - want).max() <= tolerance
    assert (got.argmax(axis=1) == want.argmax(axis=1)).all()
