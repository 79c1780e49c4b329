"""Pictures and tables show averages under the name of their layer, where a file holds numerators."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto
from rich.console import Console

import sparse_qonnx as sq
from sparse_qonnx.info import describe
from sparse_qonnx.layers import LayeredGraph
from sparse_qonnx.runtime import run_tensors


@pytest.fixture(scope="module")
def model() -> ModelProto:
    net = sq.Network("shown")
    x = net.input_reduce(net.input("image", (9, 9, 1)), 9, name="reduce")
    x = net.sparse_pool(x, (3, 3), name="pool")
    net.output(
        net.quant(net.dense(net.flatten(x), np.ones((9, 2)), name="sums"), bits=5, fractional_bits=2, signed=False)
    )
    return net.build("ap_ufixed<4,2>")


def test_values_have_their_own_names(model: ModelProto) -> None:
    x = np.full((1, 9, 9, 1), 1.25, np.float32)
    x[:, 3:] = 0
    found = run_tensors(model, {"image": x}, ["pool", "pool.numerators"])
    assert found["pool.numerators"][0, 0, 0] == 3 * 1.25, "nine pixels are kept: the first row"
    assert found["pool"][0, 0, 0] == 3 * 1.25 / 9


def test_info(model: ModelProto) -> None:
    console = Console(width=200)
    with console.capture() as capture:
        for part in describe(model):
            console.print(part)
    (row,) = (line for line in capture.get().splitlines() if line.strip().startswith("pool "))
    assert "SparsePool" in row and "/ 9" in row and "float, 9 times" in row


def test_layers(model: ModelProto) -> None:
    graph = LayeredGraph(model)
    assert [graph.shown(name) for name in graph.layers["pool"].outputs] == ["pool"]
    assert graph.exact_type(graph.layers["pool"].outputs[0]).endswith("/ 9")
    assert "carried" in graph.why_exact(graph.layers["pool"])


def test_picture(model: ModelProto) -> None:
    pytest.importorskip("matplotlib")
    x = np.zeros((9, 9, 1), np.float32)
    x[0, 0] = 2.25
    figure = sq.plot_event(model, x)
    drawn = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert np.nanmax(drawn[-1]) == 0.25, "the average, not the sum"


def test_a_dense_layer_over_pixels_reads_numerators(model: ModelProto) -> None:
    """Scatter and product become one native node: sums of numerators are exact in any order."""
    from sparse_qonnx.fusion import fuse

    fused = [node.op_type for node in fuse(model).graph.node]
    assert "SparseDense" in fused and "MatMul" not in fused and fused.count("Div") == 1
    rng = np.random.default_rng(0)
    x = (rng.integers(0, 16, (200, 9, 9, 1)) / 4 * (rng.random((200, 9, 9, 1)) < 0.2)).astype(np.float32)
    stock, native = (run_tensors(model, {"image": x}, kernels=kind) for kind in ("function", "native"))
    assert all(np.array_equal(stock[name], native[name]) for name in stock)
