"""Sessions, files and the workarounds."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from sparse_qonnx._paths import find_library, why_no_library
from sparse_qonnx.errors import ConfigurationError, InputDataError, ModelFileError, OutputPathError
from sparse_qonnx.files import read_model, write_bytes, write_model
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.passes import finalize
from sparse_qonnx.runtime import InferenceSession, run_qonnx, run_tensors


@pytest.fixture(scope="module")
def model() -> ModelProto:
    graph = GraphBuilder("g")
    x = graph.input("x", (6, 6, 1))
    features, coords = graph.sparse("InputReduce", [x], ["f", "f.coords"], n_max_pixels=3, threshold=0.0)
    kernel = graph.quantized_constant("k", np.ones((1, 1, 3, 3), np.float32))
    (y,) = graph.sparse("SparseConv", [features, coords, kernel], ["conv"], kernel_shape=[3, 3])
    graph.output(graph.sparse("SparseToDense", [y, coords], ["image"], spatial_shape=[6, 6])[0])
    return finalize(graph.build(), "ap_ufixed<8,4>")


@pytest.fixture
def x() -> np.ndarray:
    return np.zeros((2, 6, 6, 1), np.float32)


def test_stock_onnxruntime_runs_the_file_with_nothing_registered(model: ModelProto, x: np.ndarray) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": x})[0].shape == (2, 6, 6, 1)


def test_ci_tests_the_native_kernels() -> None:
    """Elsewhere they may be missing, for want of a compiler; in CI that would hide half of the suite."""
    if not os.environ.get("CI"):
        pytest.skip("only CI promises a compiler")
    assert find_library() is not None, why_no_library()


@pytest.mark.parametrize("batch", [0, 1, 5])
def test_any_batch(model: ModelProto, batch: int) -> None:
    x = np.ones((batch, 6, 6, 1), np.float32)
    assert InferenceSession(model, kernels="function").run(None, {"x": x})[0].shape == (batch, 6, 6, 1)


def test_unknown_kernels(model: ModelProto) -> None:
    with pytest.raises(ConfigurationError, match=r"kernels='fast'.*'native' or 'function'"):
        InferenceSession(model, kernels="fast")


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        ({"x": np.zeros((2, 6, 5, 1), np.float32)}, r"input 'x': has shape \[2, 6, 5, 1\].*6, 6, 1"),
        ({"x": np.zeros((6, 6, 1), np.float32)}, r"input 'x': has shape"),
        ({"x": np.zeros((2, 6, 6, 1))}, r"has type float64.*float32.*astype"),
        ({"y": np.zeros((2, 6, 6, 1), np.float32)}, r"input 'y': is not an input.*Allowed: x"),
        ({}, r"input 'x': is missing"),
    ],
)
def test_wrong_inputs_are_named(model: ModelProto, feed: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        InferenceSession(model, kernels="function").run(None, feed)


def test_unknown_tensors_are_named(model: ModelProto, x: np.ndarray) -> None:
    with pytest.raises(ModelFileError, match=r"tensor 'conv9'.*conv, "):
        run_tensors(model, {"x": x}, ["conv9"])


@pytest.mark.parametrize("content", [b"", b"not onnx at all", b"\x08\x09"])
def test_files_that_are_no_models(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"bad.onnx.*not a valid ONNX model"):
        read_model(path)
    with pytest.raises(ModelFileError, match="cannot be read: No such file"):
        read_model(tmp_path / "none.onnx")


def test_models_are_written_whole(tmp_path: Path, model: ModelProto) -> None:
    path = tmp_path / "m.onnx"
    write_model(model, path)
    assert read_model(path) == model
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
    with pytest.raises(OutputPathError, match="does not exist"):
        write_bytes(b"", tmp_path / "missing" / "m.onnx")


def test_qonnx_still_needs_the_ir_version_workaround() -> None:
    """When this fails, `_workarounds.qonnx_ir_version` can go: every supported onnxruntime reads what onnx writes."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors
    from packaging.requirements import Requirement
    from packaging.version import Version
    from qonnx.util.basic import qonnx_make_model

    graph = onnx.parser.parse_graph("g (float[1] x) => (float[1] y) { y = Relu (x) }")
    model = qonnx_make_model(graph)
    if model.ir_version <= 10:
        pytest.skip("the oldest supported onnx writes what the oldest supported onnxruntime reads")
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except (errors.Fail, errors.InvalidArgument):
        return  # still needed with the installed pair
    needed = (Requirement(r) for r in importlib.metadata.requires("sparse-qonnx") or ())
    (bound,) = (r.specifier for r in needed if r.name == "onnxruntime" and not r.marker)
    older = [v for v in ("1.20.1", "1.31.1") if v in bound and Version(v) < Version(onnxruntime.__version__)]
    assert older, "the oldest supported onnxruntime reads it"
    pytest.skip(f"onnxruntime {onnxruntime.__version__} reads IR version {model.ir_version}; {older[-1]} does not")


def test_qonnx_runs_the_file(model: ModelProto, x: np.ndarray) -> None:
    x[0, 2, 2] = 1.5
    assert np.array_equal(run_qonnx(model, {"x": x})["image"], run_tensors(model, {"x": x})["image"])
