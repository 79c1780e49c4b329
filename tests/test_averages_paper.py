"""The paper's three shapes with windows of 3, 5, 6 and 7, 8 and 16 bits, 100 events each: `make averages`.

Keras in float64, function bodies, native kernels, NumPy, qonnx and C-simulation, every tensor; ties are counted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import sparse_qonnx as sq
from averages import SHAPES, WINDOWS, load_paper, rebuilt

pytestmark = [pytest.mark.keras, pytest.mark.csim, pytest.mark.slow]
pytest.importorskip("keras")

FEW = [("jet", "l", "8b", 7)]
"""What `make test` runs; the rest is `make averages`."""


@pytest.fixture(scope="module")
def paper(shared: Path) -> Any:
    found = load_paper(shared)
    if found is None:
        pytest.skip("no ../shared/paper/paper_models.py")
    return found


ALL = [(*shape, bits, window) for shape in SHAPES for bits in ("8b", "16b") for window in WINDOWS]
CASES = ALL if os.environ.get("SPARSE_QONNX_AVERAGES") else FEW


@pytest.mark.parametrize(("dataset", "size", "bits", "window"), CASES)
def test_network_of_the_paper(
    paper: Any, tmp_path: Path, record_property: Any, dataset: str, size: str, bits: str, window: int
) -> None:
    events, _ = paper.load(dataset)
    model = rebuilt(paper, dataset, bits, size, window)
    proto = sq.export(model, input_precision="ap_ufixed<18,1>")
    report = sq.verify(proto, events, model, sq.to_hls(proto, tmp_path / "firmware"))
    assert report.ok, str(report)
    ties = sum(row.ties for row in report.table if row.tensor == "relu_dense_q")
    record_property("ties", ties)
    print(f"{dataset} {size} {bits} {window}x{window}: {report.summary}; ties at the quantizer behind it: {ties}")
    compared = {row.other for row in report.table if row.tensor == "dense2"}
    assert {"Keras (float64)", "NumPy", "qonnx", "C-simulation"} <= compared
