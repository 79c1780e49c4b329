"""Our operators inside an hls4ml project: its C-simulation = ours, value for value."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import sparse_qonnx as sq
from sparse_qonnx.errors import ConfigurationError, ToolError, UnsupportedNodeError
from sparse_qonnx.hls4ml_bridge import make_config, prepare, register
from sparse_qonnx.hls4ml_bridge.register import kernels_header
from sparse_qonnx.ops import operators

Array = NDArray[Any]
HALF_UP = "HALF_UP"


def grid(rng: np.random.Generator, *shape: int, bits: int = 4) -> Array:
    return (rng.integers(1 - 2 ** (bits - 1), 2 ** (bits - 1), shape) / 2 ** (bits - 1)).astype(np.float32)


def network(rounding: str = HALF_UP) -> sq.Network:
    """Formats by pixel, both poolings, a Quant that hls4ml has and one that it has not, weights asking for float64."""
    rng = np.random.default_rng(2)
    net = sq.Network("bridge")
    x = net.input_reduce(net.input("image", (8, 6, 1)), 6, 0.1, name="reduce")
    x = net.fixed_point_quant(x, 0, rng.integers(0, 2, (8, 6, 1)), rng.integers(2, 5, (8, 6, 1)), name="lane")
    x = net.sparse_conv(x, grid(rng, 3, 1, 3, 3, bits=14), grid(rng, 3, bits=14), name="conv.1")
    x = net.quant(net.relu(x, name="relu"), bits=8, fractional_bits=6, signed=False, name="act.1")
    x = net.sparse_pool(x, (2, 2), "average", name="pool.1")
    x = net.sparse_conv(x, grid(rng, 2, 3, 3, 3), name="conv.2")
    x = net.sparse_pool(x, (2, 1), "max", name="pool.2")
    y = net.dense(net.flatten(x, name="flatten"), grid(rng, 12, 4), grid(rng, 4), name="dense.1")
    y = net.quant(y, bits=9, fractional_bits=5, signed=True, rounding_mode=rounding, name="act.2")
    net.output(net.op("Softmax", [net.dense(y, grid(rng, 4, 3), name="dense.2")], name="softmax"))
    return net


def events() -> Array:
    rng = np.random.default_rng(4)
    x = rng.integers(0, 64, (40, 8, 6, 1)) / 32 * (rng.random((40, 8, 6, 1)) < 0.25)
    x[0] = 0
    return x.astype(np.float32)


def test_the_kernels_become_one_header() -> None:
    text = kernels_header()
    for stem in (op.__module__.rsplit(".", 1)[1] for op in operators().values()):
        assert text.count(f"#define SPARSE_QONNX_{stem.upper()}_H_") == 1
    assert not re.search(r'#include "common/', text)


def test_without_hls4ml_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hls4ml", None)
    with pytest.raises(ToolError, match=r"hls4ml: is not installed.*pip install 'sparse-qonnx\[hls4ml\]'"):
        make_config(onnx.ModelProto())


def test_what_is_prepared() -> None:
    """C names, no Cast, no head, constants of our nodes in their tables, hls4ml's layers for the rest."""
    model = prepare(network().build("ap_ufixed<6,1>"))
    onnx.checker.check_model(model)
    nodes = {node.name: node.op_type for node in model.graph.node}
    assert all(name.isidentifier() for name in nodes)
    assert {"Cast", "Softmax"} & set(nodes.values()) == set()
    assert nodes["act_1"] == "Quant" and nodes["act_2"] == "FixedPointQuant"
    assert nodes["dense_1_matmul"] == "MatMul"
    (conv,) = (node for node in model.graph.node if node.name == "conv_1")
    assert list(conv.input) == ["lane", "reduce_coords"]
    assert [v.name for v in model.graph.output] == ["dense_2"]
    assert prepare(network().build("ap_ufixed<6,1>")) == model


def test_a_pending_divisor_is_refused_by_name() -> None:
    net = sq.Network("thirds")
    x = net.input_reduce(net.input("image", (9, 9, 1)), 5)
    net.output(net.flatten(net.relu(net.sparse_pool(x, (3, 3), name="pool"), name="relu"), name="flat"))
    with pytest.raises(UnsupportedNodeError, match=r"output 'flat'.* numerators still to be divided by 9"):
        prepare(net.build("ap_ufixed<6,1>"))


def test_an_average_before_a_quantizer_is_divided_in_it() -> None:
    """The Div is a wire, the quantizer our kernel, which knows the divisor."""
    net = sq.Network("thirds")
    x = net.sparse_pool(net.input_reduce(net.input("image", (9, 9, 1)), 5), (3, 3), name="pool")
    x = net.quant(net.dense(net.flatten(x), np.ones((9, 2)), name="sums"), bits=4, fractional_bits=2, signed=False)
    net.output(x)
    model = prepare(net.build("ap_ufixed<6,1>"))
    assert not any(node.op_type in ("Div", "Quant") and not node.domain for node in model.graph.node)
    last = model.graph.node[-1]
    config = next(a.s.decode() for a in last.attribute if a.name == "config")
    assert "divisor = 9;" in config and list(last.input) == ["sums_numerators"]


@pytest.mark.slow
@pytest.mark.csim
def test_hls4ml_gives_what_our_firmware_gives(tmp_path: Path) -> None:
    hls4ml = pytest.importorskip("hls4ml")
    register()
    register()  # once a process, however often it is called
    file = network().build("ap_ufixed<6,1>")
    model = prepare(file)
    project = hls4ml.converters.convert_from_onnx_model(
        model,
        hls_config=make_config(model),
        output_dir=str(tmp_path / "hls4ml"),
        backend="Vitis",
        io_type="io_parallel",
    )
    kinds = {layer.class_name for layer in project.get_layers()}
    assert {f"SparseQonnx{name}" for name in operators()} | {"Dense"} <= kinds
    project.compile()
    ours = sq.to_hls(file, tmp_path / "ours", config={"head": "skip"})
    ours.compile()
    want = ours.predict(events(), tensor="dense.2")
    assert len(np.unique(want)) > 10
    assert np.array_equal(np.asarray(project.predict(events())).reshape(want.shape), want)


@pytest.mark.slow
def test_a_file_that_was_not_prepared_is_refused() -> None:
    pytest.importorskip("hls4ml")
    register()
    net = sq.Network("bare")
    net.output(net.flatten(net.input_reduce(net.input("image", (4, 4, 1)), 3, name="reduce")))
    with pytest.raises(ToolError, match=r"node 'reduce' \(InputReduce\): is not prepared.*prepare\(model\)"):
        sys.modules["hls4ml.converters.onnx_to_hls"].parse_onnx_model(net.build("ap_ufixed<6,1>"))


@pytest.mark.slow
def test_streams_are_refused(tmp_path: Path) -> None:
    hls4ml = pytest.importorskip("hls4ml")
    register()
    model = prepare(network().build("ap_ufixed<6,1>"))
    with pytest.raises(ConfigurationError, match=r"hls4ml layer 'reduce' \(InputReduce\): io_type='io_stream'"):
        hls4ml.converters.convert_from_onnx_model(
            model, hls_config=make_config(model), output_dir=str(tmp_path), io_type="io_stream"
        )
