"""What was proven of a model is not proven again while passes, projects and comparisons work on it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto

from sparse_qonnx import to_hls, verify
from sparse_qonnx.errors import PrecisionError
from sparse_qonnx.graph import QUANT_DOMAIN, GraphBuilder
from sparse_qonnx.grid import Grid, NodeContext, NodeProof
from sparse_qonnx.passes import finalize
from sparse_qonnx.passes.infer_grids import infer_grids
from sparse_qonnx.passes.remembered import Remembered, proven_once
from sparse_qonnx.standard.mat_mul import MatMul

PRECISION = "ap_ufixed<8,2>"


def dense(scale: float = 1.0) -> ModelProto:
    g = GraphBuilder("dense")
    x = g.input("x", [6])
    weights = g.quantized_constant("w", (np.arange(24, dtype=np.float32).reshape(6, 4) - 7) * np.float32(scale))
    (x,) = g.node("MatMul", [x, weights], ["sums"])
    parts = [g.constant(f"q.{n}", np.array(v, np.float32)) for n, v in enumerate((0.25, 0.0, 8.0))]
    g.node("Quant", [x, *parts], ["y"], domain=QUANT_DOMAIN, signed=1, narrow=0, rounding_mode="ROUND")
    g.output("y")
    return g.build()


@pytest.fixture
def proofs(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each MatMul was proven, by name."""
    counts: Counter[str] = Counter()
    original = MatMul.prove.__func__  # type: ignore[attr-defined]

    def counted(cls: type[MatMul], node: NodeContext) -> NodeProof:
        counts[node.name] += 1
        result: NodeProof = original(cls, node)
        return result

    monkeypatch.setattr(MatMul, "prove", classmethod(counted))
    return counts


def test_each_step_proves_once(proofs: Counter[str], tmp_path: Path) -> None:
    model = finalize(dense(), PRECISION)
    assert proofs == {"sums": 1}, "three passes ask for the proof"
    project = to_hls(model, tmp_path / "firmware")
    assert proofs == {"sums": 2}
    assert verify(model, np.zeros((1, 6), np.float32), project=None).ok
    assert proofs == {"sums": 3} and project.tensors


def test_what_is_the_same_is_remembered_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    original = Grid.of_constant.__func__  # type: ignore[attr-defined]
    monkeypatch.setattr(Grid, "of_constant", classmethod(lambda *a, **k: calls.append(a) or original(*a, **k)))
    first, other = finalize(dense(), PRECISION), finalize(dense(0.5), PRECISION)
    with proven_once():
        one = infer_grids(first)
        calls.clear()
        with proven_once():
            again, changed = infer_grids(first), infer_grids(other)
        assert all(one.grids[name] is again.grids[name] for name in ("x", "w", "w.q", "sums", "y"))
        assert one.nodes["sums"].outputs[0] is again.nodes["sums"].outputs[0]
        assert len(calls) == 2, "the other weights and their scale alone"
        assert changed.grids["x"] is one.grids["x"] and changed.grids["w"] is not one.grids["w"]
    alone = infer_grids(other)
    assert alone.grids["sums"] is not changed.grids["sums"], "forgotten"
    for name, grid in alone.grids.items():
        found = changed.grids[name]
        assert grid is not None and found is not None
        assert (grid.lo.tolist(), grid.hi.tolist(), grid.frac) == (found.lo.tolist(), found.hi.tolist(), found.frac)


def test_a_type_of_the_input_changes_the_proof() -> None:
    with proven_once():
        narrow, wide = (infer_grids(finalize(dense(), kind)).grids["sums"] for kind in ("ap_ufixed<4,2>", PRECISION))
    assert narrow is not None and wide is not None and narrow.bits < wide.bits


def test_refusals_are_not_remembered() -> None:
    """They name the node, which may be another one next time."""
    node, known = NodeProto(op_type="Quant"), Remembered()
    for name in ("first", "second"):
        context = NodeContext(name, "Quant", {}, (), (), ())
        with pytest.raises(PrecisionError, match=name):
            known.node(node, context, _refuse)


def _refuse(node: NodeContext) -> NodeProof:
    raise PrecisionError(node.where, "is refused")
