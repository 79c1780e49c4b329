"""Operators of many tensors as chains of two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from sparse_qonnx.graph import GraphBuilder, all_values, tensor_shape
from sparse_qonnx.hls import to_hls
from sparse_qonnx.passes import finalize
from sparse_qonnx.passes.split_variadic import split_variadic
from sparse_qonnx.reference import run_reference


def merges() -> ModelProto:
    graph = GraphBuilder("merges")
    x = graph.input("x", [3, 4])
    row = graph.constant("row", np.array([0.5, -0.25, 1, 0], np.float32))
    (a,) = graph.node("Neg", [x], ["a"])
    (b,) = graph.node("Relu", [x], ["b"])
    for op, inputs in (("Max", [row, a, b, x]), ("Min", [a, b, row]), ("Concat", [x, b, a, a])):
        attributes = {"axis": -1} if op == "Concat" else {}
        (result,) = graph.node(op, inputs, [op.lower()], **attributes)
        graph.output(result)
    return finalize(graph.build(), "ap_fixed<6,3>")


def test_nodes_of_two_give_the_same() -> None:
    model = merges()
    split = split_variadic(model)
    x = np.random.default_rng(0).integers(-32, 32, (5, 3, 4)).astype(np.float32) / 8
    names = ["max", "min", "concat"]
    wanted, found = (run_reference(m, {"x": x}, names) for m in (model, split))
    for name in names:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
    assert all(len(node.input) <= 2 for node in split.graph.node)
    assert len(model.graph.node) == 5 and len(split.graph.node) == 10
    shapes = {name: tensor_shape(value)[1:] for name, value in all_values(split).items()}
    assert shapes["concat.1"] == (3, 8) and shapes["concat.2"] == (3, 12) and shapes["max.1"] == (3, 4)


def test_nothing_to_split(small_model: Path) -> None:
    model = ModelProto.FromString(small_model.read_bytes())
    assert split_variadic(model) == model


@pytest.mark.csim
def test_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXXFLAGS", "-O0")
    model = merges()
    project = to_hls(model, tmp_path / "firmware")
    x = np.random.default_rng(1).integers(-32, 32, (20, 3, 4)).astype(np.float32) / 8
    wanted = run_reference(model, {"x": x}, ["max", "min", "concat"])
    for name, values in wanted.items():
        np.testing.assert_array_equal(project.predict(x, tensor=name).astype(np.float32), values, err_msg=name)
