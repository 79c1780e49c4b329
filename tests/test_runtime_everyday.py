"""`sq.InferenceSession` where onnxruntime's own is used, models as people hold them, and other processes."""

from __future__ import annotations

import io
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

import sparse_qonnx as sq
from harness import KERNELS
from sparse_qonnx.errors import ConfigurationError, ModelFileError
from sparse_qonnx.info import describe
from sparse_qonnx.runtime import InferenceSession, run_tensors
from sparse_qonnx.verify import verify

needs_kernels = pytest.mark.skipif("native" not in KERNELS, reason="the native kernels were not built here")


@pytest.fixture(scope="module")
def wanted(small_model: Path, small_events: np.ndarray) -> np.ndarray:
    return InferenceSession(small_model, kernels="function").run(None, {"image": small_events})[0]


# ---- options --------------------------------------------------------------------------------------------------------


@needs_kernels
def test_the_same_options_for_several_sessions(small_model: Path, small_events: np.ndarray, wanted: np.ndarray) -> None:
    options = onnxruntime.SessionOptions()
    sq.register(options)
    sq.register(options)
    for open_session in (
        lambda: sq.InferenceSession(small_model, options),
        lambda: sq.InferenceSession(small_model, options, fuse=False),
        lambda: onnxruntime.InferenceSession(str(small_model), options, providers=["CPUExecutionProvider"]),
        lambda: sq.InferenceSession(small_model, sess_options=options, kernels="function"),
        lambda: sq.InferenceSession(small_model, options),
    ):
        assert np.allclose(open_session().run(None, {"image": small_events})[0], wanted, rtol=0, atol=5e-6)


class _Unchecked(InferenceSession):
    """Runs a file whose function bodies are not those of the operators."""

    def __init__(self, *args: Any, **options: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sparse_qonnx.runtime.read_model", onnx.load_from_string)
            super().__init__(*args, **options)


@needs_kernels
def test_function_bodies_with_options_in_which_kernels_are_registered(
    small_model: Path, small_events: np.ndarray, tmp_path: Path
) -> None:
    """A body that says something else tells that it was executed."""
    model = onnx.load(small_model)
    (conv,) = [f for f in model.functions if f.name == "SparseConv"]
    (last,) = [n for n in conv.node if conv.output[0] in n.output]
    last.output[0] = "before"
    conv.node.append(onnx.helper.make_node("Neg", ["before"], [conv.output[0]]))
    options = onnxruntime.SessionOptions()
    sq.register(options)
    stock, same, native = (
        kind(model.SerializeToString(), given, providers=["CPUExecutionProvider"], **more)
        for kind, given, more in (
            (onnxruntime.InferenceSession, None, {}),
            (_Unchecked, options, {"kernels": "function"}),
            (onnxruntime.InferenceSession, options, {}),
        )
    )
    wanted, function, kernels = (s.run(None, {"image": small_events})[0] for s in (stock, same, native))
    assert np.array_equal(function, wanted)
    assert not np.array_equal(kernels, wanted)


@needs_kernels
def test_kernels_registered_by_hand(small_model: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(sq.get_library_path())
    with pytest.raises(ConfigurationError, match=r"hold the native kernels already.*sparse_qonnx\.register"):
        InferenceSession(small_model, options)


def test_arguments_as_onnxruntime_has_them(small_model: Path, small_events: np.ndarray, wanted: np.ndarray) -> None:
    options, providers = onnxruntime.SessionOptions(), ["CPUExecutionProvider"]
    sessions = (
        InferenceSession(small_model, options, providers, [{}]),
        InferenceSession(path_or_bytes=small_model, sess_options=options, providers=providers, provider_options=[{}]),
        InferenceSession(small_model, providers=[("CPUExecutionProvider", {})]),
        InferenceSession(small_model, enable_fallback=0),
    )
    for session in sessions:
        assert session.get_providers() == providers
        assert np.allclose(session.run(None, {"image": small_events})[0], wanted, rtol=0, atol=5e-6)
    with pytest.raises(TypeError):
        InferenceSession(small_model, options, providers, [{}], "function")  # type: ignore[misc]


# ---- models ---------------------------------------------------------------------------------------------------------


def qonnx_wrapper(path: Path) -> Any:
    from qonnx.core.modelwrapper import ModelWrapper

    return ModelWrapper(str(path))


SOURCES = {
    "path": lambda path: path,
    "text": str,
    "bytes": lambda path: path.read_bytes(),
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "ModelProto": onnx.load,
    "onnx-ir": ir.load,
    "qonnx": qonnx_wrapper,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_models_as_people_hold_them(
    small_model: Path, small_events: np.ndarray, wanted: np.ndarray, tmp_path: Path, kind: str
) -> None:
    def source() -> Any:
        return SOURCES[kind](small_model)

    session = InferenceSession(source(), kernels="function")
    assert np.array_equal(session.run(None, {"image": small_events})[0], wanted)
    assert np.array_equal(run_tensors(source(), {"image": small_events})["softmax"], wanted)
    assert verify(source(), small_events[:2], others=[source()]).ok
    assert sq.to_hls(source(), tmp_path / "firmware").outputs == ["softmax"]
    assert len(list(describe(source()))) > 3


def test_an_onnx_ir_model_with_external_data(
    small_model: Path, small_events: np.ndarray, wanted: np.ndarray, tmp_path: Path
) -> None:
    onnx.save(
        onnx.load(small_model), tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0
    )
    model = ir.load(tmp_path / "m.onnx")
    for _ in range(2):  # it is left as it was
        session = InferenceSession(model, kernels="function")
        assert np.array_equal(session.run(None, {"image": small_events})[0], wanted)


@pytest.mark.parametrize("source", [None, 3, io.BytesIO(b""), ["m.onnx"]])
def test_what_is_no_model(source: Any) -> None:
    with pytest.raises(ModelFileError, match=f"is a {type(source).__name__}.*ModelWrapper"):
        InferenceSession(source)


# ---- other processes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernels", KERNELS)
def test_sessions_projects_and_reports_in_a_pool(
    small_model: Path, small_events: np.ndarray, tmp_path: Path, kernels: str
) -> None:
    session = InferenceSession(small_model, kernels=kernels)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(session.run, None, {"image": small_events}).result()[0]
        assert np.array_equal(there, session.run(None, {"image": small_events})[0])
        report = pool.submit(verify, small_model, small_events[:2]).result()
    assert report == verify(small_model, small_events[:2])
    assert "No mismatch" in str(report)


def test_a_compiled_project_is_sent(
    small_model: Path, small_events: np.ndarray, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("CXXFLAGS", "-O0")
    project = sq.to_hls(small_model, tmp_path / "firmware")
    project.compile()
    again = pickle.loads(pickle.dumps(project))
    assert np.array_equal(again.predict(small_events), project.predict(small_events))
    assert again.tensors == project.tensors
    census = pickle.loads(pickle.dumps(project.choices))
    assert str(census) == str(project.choices)


def test_a_session_with_options_is_not_sent(small_model: Path) -> None:
    session = InferenceSession(small_model, onnxruntime.SessionOptions(), kernels="function")
    with pytest.raises(ConfigurationError, match="was made with SessionOptions: it cannot be pickled"):
        pickle.dumps(session)
