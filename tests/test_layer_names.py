"""Which layer a node belongs to: the exporter says so; names, dots in them among them, say nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto

import sparse_qonnx as sq
from sparse_qonnx import cli
from sparse_qonnx.datasets.random import random_inputs
from sparse_qonnx.files import read_model, write_model
from sparse_qonnx.layers import LayeredGraph
from sparse_qonnx.origin import LAYER_KEY, assigned, layers_of
from sparse_qonnx.plots.event import stages


def dotted() -> sq.Network:
    """Layers that differ behind the dot, one called like the input's part, a merge of three."""
    rng = np.random.default_rng(2)

    def grid(*shape: int) -> np.ndarray:
        return (rng.integers(-7, 8, shape) / 8).astype(np.float32)

    net = sq.Network("dotted")
    x = net.input_reduce(net.input("image", (4, 5, 1)), 6, name="block.reduce")
    x = net.sparse_conv(x, grid(2, 1, 3, 3), grid(2), name="block.conv1")
    x = net.sparse_conv(x, grid(2, 2, 3, 3), name="block.conv2")
    y = net.dense(net.flatten(x, name="block.flat"), grid(40, 3), grid(3), name="block.dense")
    net.output(net.op("Max", [y, net.relu(y, name="block.1"), net.op("Neg", [y], name="block.2")], name="block.max"))
    return net


WANTED = [
    "block.reduce", "block.conv1", "block.conv2", "block.flat", "block.dense", "block.1", "block.2", "block.max"
]  # fmt: skip


@pytest.fixture(scope="module")
def model() -> ModelProto:
    return dotted().build("ap_ufixed<6,1>")


def without_node_metadata(model: ModelProto) -> ModelProto:
    """As most tools leave it."""
    result = ModelProto()
    result.CopyFrom(model)
    for node in result.graph.node:
        del node.metadata_props[:]
        node.name = ""
    return result


@pytest.mark.parametrize("change", [lambda m: m, without_node_metadata])
def test_layers_with_dots(model: ModelProto, change: Callable[[ModelProto], ModelProto]) -> None:
    graph = LayeredGraph(read_model(change(model)))
    assert list(graph.layers) == WANTED
    assert graph.layers["block.dense"].sources == ["block.flat"]
    assert [w.values.shape for w in graph.layers["block.dense"].weights] == [(40, 3), (3,)]
    assert [stage.layer.name for stage in stages(graph)] == WANTED[:3]


def test_without_any_word_every_node_is_a_layer(model: ModelProto) -> None:
    bare = without_node_metadata(model)
    del bare.metadata_props[:]
    assert list(LayeredGraph(read_model(bare)).layers)[-5:] == [
        "block.dense.matmul", "block.dense", "block.1", "block.2", "block.max"
    ]  # fmt: skip


def test_a_model_says_it_once_for_a_tensor(model: ModelProto) -> None:
    """Only where the layer is called something else, so that models can be merged."""
    said = {e.key: e.value for e in model.metadata_props if e.key.startswith(f"{LAYER_KEY}.")}
    assert said == {
        f"{LAYER_KEY}.block.reduce.coords": "block.reduce",
        f"{LAYER_KEY}.block.flat.dense": "block.flat",
        f"{LAYER_KEY}.block.dense.matmul": "block.dense",
    }
    read = read_model(without_node_metadata(model))
    assert layers_of(read.graph.node, read)["block.dense.matmul"] == "block.dense"


def test_report_of_layers_with_dots(model: ModelProto, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It ended in a `KeyError` with exit code 1, that of a difference. Each layer has its own stages."""
    write_model(model, tmp_path / "m.onnx")
    assert cli.main(["report", str(tmp_path / "m.onnx"), "-o", str(tmp_path / "r.html")]) == 0, capsys.readouterr().err
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert all(f">{name}<" in page for name in WANTED)
    sections = dict(zip(WANTED, re.split(r'id="layer-\d+"', page)[1:], strict=True))
    for name in ("block.conv1", "block.dense", "block.max"):
        assert "Firmware" in sections[name] and f"{name}: " in sections[name], name
    assert "block.max.1: " in sections["block.max"]


@pytest.mark.keras
def test_keras_layers_with_dots(tmp_path: Path) -> None:
    import keras
    from hgq.config import QuantizerConfigScope
    from hgq.layers import QDense
    from sparsepixels.layers import InputReduce, QConv2DSparse

    with QuantizerConfigScope(place="all", default_q_type="kbi", overflow_mode="SAT_SYM"):
        image = keras.Input((5, 6, 1), name="image")
        x, mask = InputReduce(n=6, name="block.reduce")(image)
        x = QConv2DSparse(2, 3, padding="same", name="block.conv1", activation="relu")([x, mask])
        x = QConv2DSparse(2, 3, padding="same", name="block.conv2", activation="relu")([x, mask])
        x = QDense(3, name="head.dense")(keras.layers.Flatten(name="head.flat")(x))
        keras_model = keras.Model(image, keras.layers.Softmax(name="head")(x))
    model = sq.export(keras_model, tmp_path / "m.onnx", input_precision="ap_ufixed<6,1>")
    graph = LayeredGraph(read_model(tmp_path / "m.onnx"))
    assert list(graph.layers) == ["block.reduce", "block.conv1", "block.conv2", "head.flat", "head.dense", "head"]
    assert all(assigned(node) for node in model.graph.node)
    x = random_inputs(model, 20)["image"]
    assert sq.verify(model, x, keras_model).ok


def test_a_file_with_such_metadata_is_valid(model: ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    (name,) = (v.name for v in model.graph.output)
    session: Any = sq.InferenceSession(model, kernels="function")
    assert session.run([name], random_inputs(model, 3))[0].shape == (3, 3)
