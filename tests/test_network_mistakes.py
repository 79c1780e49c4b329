"""`sq.Network`: the mistakes of a first hour are told with what would have been right, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import sparse_qonnx as sq
from sparse_qonnx.errors import (
    ConfigurationError,
    ModelFileError,
    PrecisionError,
    SparseQonnxError,
    UnsupportedNodeError,
)
from sparse_qonnx.passes.infer_grids import input_types


class Parts:
    """A network of a few values to make mistakes with."""

    def __init__(self) -> None:
        self.net = sq.Network("parts")
        self.image = self.net.input("image", (8, 8, 2), precision="ap_ufixed<8,1>")
        self.map = self.net.input_reduce(self.image, 4, name="reduce")
        self.flat = self.net.flatten(self.map, name="flat")
        self.matrix = self.net.input("matrix", (8, 8), precision="ap_ufixed<8,1>")


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape)


IMAGE, MAP, OPERAND, FITS = (
    r"is no sparse feature map.*Fix: input_reduce\(image",
    r"is a sparse feature map.*Fix: flatten\(x\) or to_dense\(x\)",
    "no value of the network 'parts'",
    "does not fit its inputs",
)

MISTAKES: dict[str, tuple[Callable[[Parts], Any], type[SparseQonnxError], str]] = {
    "dense(map)": (lambda p: p.net.dense(p.map, ones(128, 3)), ConfigurationError, MAP),
    "sparse_conv(image)": (lambda p: p.net.sparse_conv(p.image, ones(2, 2, 3, 3)), ConfigurationError, IMAGE),
    "sparse_pool(image)": (lambda p: p.net.sparse_pool(p.image, (2, 2)), ConfigurationError, IMAGE),
    "to_dense(image)": (lambda p: p.net.to_dense(p.image), ConfigurationError, IMAGE),
    "input_reduce(map)": (lambda p: p.net.input_reduce(p.map, 3), ConfigurationError, MAP),
    "output(map)": (lambda p: p.net.output(p.map), ConfigurationError, MAP),
    "output(array)": (lambda p: p.net.output(ones(3)), ConfigurationError, OPERAND),
    "output twice": (lambda p: [p.net.output(p.flat) for _ in range(2)], ConfigurationError, "declared twice"),
    "relu(array)": (lambda p: p.net.relu(ones(3)), ConfigurationError, OPERAND),
    "op(map)": (lambda p: p.net.op("Relu", [p.map]), ConfigurationError, OPERAND),
    "add(dense, map)": (lambda p: p.net.add(p.flat, p.map), ConfigurationError, "different pixels"),
    "2-D image": (lambda p: p.net.input_reduce(p.matrix, 3), ConfigurationError, r"\[batch, 8, 8\].*\(H, W, C\)"),
    "unknown operator": (lambda p: p.net.op("Reluu", [p.image]), UnsupportedNodeError, "'Reluu'.*opset 19.*Relu"),
    "unknown operator of ours": (
        lambda p: p.net.op("SparseCon", [p.image], domain="sparse_qonnx.ops"),
        UnsupportedNodeError,
        "Allowed: SparseConv",
    ),
    "unknown domain": (lambda p: p.net.op("Relu", [p.image], domain="mine"), UnsupportedNodeError, "'mine'.*ONNX"),
    "two results": (lambda p: p.net.op("TopK", [p.flat]), ConfigurationError, "'TopK' has 2 results"),
    "Keras kernel": (
        lambda p: p.net.sparse_conv(p.map, ones(3, 3, 2, 5)),
        ModelFileError,
        r"transpose.*\(3, 2, 0, 1\)",
    ),
    "kernel of a matrix": (lambda p: p.net.sparse_conv(p.map, ones(3, 3)), ModelFileError, r"\[F, C / group, kh, kw\]"),
    "kernel channels": (lambda p: p.net.sparse_conv(p.map, ones(2, 7, 3, 3)), ModelFileError, "on 2 channels, group 1"),
    "kernel groups": (lambda p: p.net.sparse_conv(p.map, ones(3, 1, 3, 3), group=2), ModelFileError, "group 2"),
    "bias": (
        lambda p: p.net.sparse_conv(p.map, ones(2, 2, 3, 3), ones(3)),
        ModelFileError,
        r"bias of shape \[3\].*\[2\]",
    ),
    "PyTorch matrix": (lambda p: p.net.dense(p.flat, ones(3, 128)), ModelFileError, r"kernel\.T.*\[F, K\]"),
    "dense of an image": (lambda p: p.net.dense(p.image, ones(128, 3)), ModelFileError, "Fix: flatten what it reads"),
    "matrix of a vector": (lambda p: p.net.dense(p.flat, ones(128)), ModelFileError, r"\[128, F\]"),
    "dense bias": (lambda p: p.net.dense(p.flat, ones(128, 3), ones(4)), ModelFileError, r"bias of shape \[4\].*\[3\]"),
    "weights on no grid": (
        lambda p: p.net.dense(p.flat, np.full((128, 3), 0.1)),
        PrecisionError,
        r"Fix:.*np\.round\(w \* 2\*\*f\) / 2\*\*f",
    ),
    "weights of text": (lambda p: p.net.dense(p.flat, "kernel"), ConfigurationError, "has type <U6"),
    "ragged weights": (lambda p: p.net.dense(p.flat, [[1], [1, 2]]), ConfigurationError, "is no array"),
    "complex constant": (lambda p: p.net.constant("c", 1j), ConfigurationError, "has type complex128"),
    "no bits": (lambda p: p.net.quant(p.flat, bits=0, fractional_bits=2, signed=True), ConfigurationError, "is 0"),
    "half a bit": (lambda p: p.net.quant(p.flat, bits=8, fractional_bits=2.5, signed=True), ConfigurationError, "2.5"),
    "rounding": (
        lambda p: p.net.fixed_point_quant(p.flat, 1, 2, 3, rounding_mode="ROUND"),
        ConfigurationError,
        "rounding_mode.*'ROUND'.*RND_CONV",
    ),
    "overflow": (
        lambda p: p.net.fixed_point_quant(p.flat, 1, 2, 3, "RND", "CLIP"),
        ConfigurationError,
        "'CLIP'.*SAT_SYM",
    ),
    "formats": (lambda p: p.net.fixed_point_quant(p.map, 1, ones(7), 3), ConfigurationError, r"\[7\].*\[1, 4, 2\]"),
    "formats of pixels": (
        lambda p: p.net.fixed_point_quant(p.map, 1, ones(7, 8, 1), 3),
        ConfigurationError,
        r"broadcast to \[8, 8, 2\]",
    ),
    "pooling mode": (lambda p: p.net.sparse_pool(p.map, (2, 2), "mean"), UnsupportedNodeError, "'mean'.*average"),
    "no pixels": (lambda p: p.net.input_reduce(p.image, 0), ConfigurationError, "n_max_pixels.*is 0"),
    "threshold": (lambda p: p.net.input_reduce(p.image, 3, "high"), ConfigurationError, "threshold.*'high'"),
    "shape": (lambda p: p.net.input("other", 8), ConfigurationError, r"is 8.*\(28, 28, 1\)"),
    "sizes": (lambda p: p.net.input("other", (8, -1, 1)), ConfigurationError, "is -1"),
    "name": (lambda p: p.net.input(3, (8, 8, 1)), ConfigurationError, "is no name"),
    "precision": (lambda p: p.net.input("other", (8, 8, 1), "fixed<8>"), PrecisionError, r"'other'.*'fixed<8>'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_and_leaves_nothing(mistake: str) -> None:
    make, kind, message = MISTAKES[mistake]
    parts, clean = Parts(), Parts()
    with pytest.raises(kind, match=message) as error:
        make(parts)
    assert type(error.value) is kind
    for each in (parts, clean):
        if mistake != "output twice":
            each.net.output(each.flat)
        if mistake == "output twice" and each is clean:
            each.net.output(each.flat)
    built = [each.net.build().SerializeToString(deterministic=True) for each in (parts, clean)]
    assert built[0] == built[1]


def test_no_output() -> None:
    with pytest.raises(ConfigurationError, match=r"network 'parts': has no output.*output\(value\)"):
        Parts().net.build()


def test_no_input_precision(tmp_path: Path) -> None:
    net = sq.Network("bare")
    net.output(net.flatten(net.input_reduce(net.input("image", (8, 8, 1)), 3)))
    with pytest.raises(PrecisionError, match=r"input 'image': has no fixed-point type.*ap_ufixed<W,I>"):
        net.save(tmp_path / "bare.onnx")
    assert not list(tmp_path.iterdir())
    assert str(input_types(net.build("ap_ufixed<6,2>"))["image"]) == "ap_ufixed<6,2>"


def test_precision_where_the_input_is_declared() -> None:
    parts = Parts()
    parts.net.output(parts.flat)
    assert str(input_types(parts.net.build())["image"]) == "ap_ufixed<8,1>"
    types = input_types(parts.net.build({"image": "ap_fixed<9,3>"}))
    assert {name: str(kind) for name, kind in types.items()} == {"image": "ap_fixed<9,3>", "matrix": "ap_ufixed<8,1>"}


def test_building_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is free, gives the same, and the network can grow in between."""
    parts = Parts()
    parts.net.output(parts.flat)
    first = parts.net.build()
    with monkeypatch.context() as patch:
        patch.delattr("sparse_qonnx.network.finalize")
        assert parts.net.build() == first == parts.net.save(tmp_path / "m.onnx")
    assert onnx.load(tmp_path / "m.onnx") == first
    first.graph.name = "changed by who got it"
    assert parts.net.build().graph.name == "parts"
    model = parts.net.to_ir()
    assert isinstance(model, ir.Model)
    assert [node.name for node in model.graph] == [node.name for node in parts.net.to_ir().graph]
    parts.net.output(parts.net.dense(parts.flat, ones(128, 3), name="dense"))
    grown = parts.net.build()
    assert [value.name for value in grown.graph.output] == ["flat", "dense"]
    assert parts.net.build("ap_ufixed<4,1>") != grown
