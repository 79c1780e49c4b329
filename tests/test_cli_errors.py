"""Whatever is wrong with what a user gives: exit code 2, one readable message that names it, nothing half-written."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from sparse_qonnx import cli

Run = Callable[..., str]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs a command that must fail, in the folder `tmp_path`; returns its message."""

    def run(command: Callable[[list[str]], int], *arguments: object) -> str:
        before = set(tmp_path.rglob("*"))
        capsys.readouterr()
        assert command([str(a) for a in arguments]) == 2
        out, err = capsys.readouterr()
        lines = [line for line in err.splitlines() if not line.startswith("warning:")]
        assert out == ""
        assert "Traceback" not in err
        assert len(lines) == 1, err
        assert lines[0].startswith("error: ")
        assert set(tmp_path.rglob("*")) == before
        return lines[0]

    return run


@pytest.fixture
def events(tmp_path: Path, small_events: np.ndarray) -> Path:
    path = tmp_path / "x.npy"
    np.save(path, small_events)
    return path


def damaged(kind: str, path: Path, good: Path) -> Path:
    """A file that is no ONNX model."""
    content = {
        "empty": b"",
        "text": b"this is not a model\n",
        "random": np.random.default_rng(0).bytes(4000),
        "truncated": good.read_bytes()[: good.stat().st_size // 2],
        "zip": None,
    }[kind]
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")
    else:
        path.write_bytes(content)
    return path


# ---- model files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["empty", "text", "random", "truncated", "zip"])
@pytest.mark.parametrize("command", ["run", "verify", "info", "hls"])
def test_a_file_that_is_no_model(
    fails: Run, tmp_path: Path, small_model: Path, events: Path, kind: str, command: str
) -> None:
    bad = damaged(kind, tmp_path / "bad.onnx", small_model)
    arguments = {
        "run": (cli.main, "run", bad, "--input", events, "-o", tmp_path / "y.npy"),
        "verify": (cli.main, "verify", bad),
        "info": (cli.main, "info", bad),
        "hls": (cli.main_hls, bad, "-o", tmp_path / "firmware"),
    }[command]
    message = fails(*arguments)
    assert "bad.onnx" in message
    assert "not a valid ONNX model" in message


def test_missing_model(fails: Run, tmp_path: Path) -> None:
    message = fails(cli.main, "info", tmp_path / "none.onnx")
    assert "none.onnx" in message
    assert "No such file" in message


def test_folder_instead_of_a_model(fails: Run, tmp_path: Path) -> None:
    assert "Is a directory" in fails(cli.main, "info", tmp_path)


def test_a_model_that_is_not_sparse_has_no_firmware(fails: Run, tmp_path: Path) -> None:
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", 4]) for name in "xy"]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Erf", ["x"], ["y"], name="curve")], "g", value[:1], value[1:]
    )
    path = tmp_path / "plain.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)], ir_version=9), path)
    fails(cli.main_hls, path, "-o", tmp_path / "firmware")


# ---- events ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros((3, 6, 7, 1), np.float32), "[3, 6, 7, 1]"),
        (np.zeros((6, 8, 1), np.float32), "[6, 8, 1]"),
        (np.zeros((3, 6, 8, 1), np.complex64), "complex64"),
        (np.zeros((0, 6, 8, 1), np.float32), "[0] events"),
        (np.array([[{"a": 1}]]), "not a .npy file of numbers"),
    ],
    ids=["width", "no batch", "complex", "no events", "objects"],
)
def test_events_that_do_not_fit(fails: Run, tmp_path: Path, small_model: Path, array: np.ndarray, problem: str) -> None:
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    assert problem in fails(cli.main, "run", small_model, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert problem in fails(cli.main, "verify", small_model, "--input", tmp_path / "x.npy")
    assert problem in fails(cli.main_hls, small_model, "-o", tmp_path / "firmware", "--csim", tmp_path / "x.npy")


@pytest.mark.parametrize("content", [b"", b"1, 2, 3\n", b"\x93NUMPY\x01\x00\x76\x00{'descr'"])
def test_events_that_are_no_array(fails: Run, tmp_path: Path, small_model: Path, content: bytes) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    assert "not a .npy file" in fails(cli.main, "run", small_model, "--input", path, "-o", tmp_path / "y.npy")


def test_missing_events(fails: Run, tmp_path: Path, small_model: Path) -> None:
    message = fails(cli.main, "run", small_model, "--input", tmp_path / "x.npy", "-o", tmp_path / "y.npy")
    assert "No such file" in message


# ---- outputs --------------------------------------------------------------------------------------------------------


def test_output_in_a_folder_that_does_not_exist(fails: Run, tmp_path: Path, small_model: Path, events: Path) -> None:
    message = fails(cli.main, "run", small_model, "--input", events, "-o", tmp_path / "none" / "y.npy")
    assert "does not exist" in message


def test_output_is_a_folder(fails: Run, tmp_path: Path, small_model: Path, events: Path) -> None:
    assert "is a folder" in fails(cli.main, "run", small_model, "--input", events, "-o", tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_output_folder_without_permission(fails: Run, tmp_path: Path, small_model: Path, events: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert "Permission denied" in fails(cli.main, "run", small_model, "--input", events, "-o", closed / "y.npy")
    assert "Permission denied" in fails(cli.main_hls, small_model, "-o", closed / "firmware")


def test_unknown_tensor(fails: Run, tmp_path: Path, small_model: Path, events: Path) -> None:
    arguments = ("--input", events, "-o", tmp_path / "y.npy", "--tensor", "nonsense")
    assert "'nonsense'" in fails(cli.main, "run", small_model, *arguments)


def test_project_folder_in_use(
    fails: Run, tmp_path: Path, small_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    firmware = tmp_path / "firmware"
    arguments = [str(small_model), "-o", str(firmware)]
    assert cli.main_hls(arguments) == 0
    written = {path: path.read_bytes() for path in firmware.rglob("*") if path.is_file()}
    assert "--force" in fails(cli.main_hls, *arguments)
    assert {path: path.read_bytes() for path in firmware.rglob("*") if path.is_file()} == written
    assert cli.main_hls([*arguments, "--force"]) == 0


def test_project_folder_that_is_something_else(fails: Run, tmp_path: Path, small_model: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("years of work")
    fails(cli.main_hls, small_model, "-o", tmp_path / "work")
    fails(cli.main_hls, small_model, "-o", tmp_path / "work", "--force")
    fails(cli.main_hls, small_model, "-o", tmp_path / "work" / "thesis.tex")
    assert (tmp_path / "work" / "thesis.tex").read_text() == "years of work"


# ---- configuration --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("reuse_faktor: 4\n", "'reuse_faktor'"),
        ("head: [\n", "is not YAML"),
        ("- head\n", "holds a list"),
        ("head: magic\n", "'magic'"),
        ("input_precision: float\n", "'float'"),
        ("test_events: -1\n", "-1"),
    ],
)
def test_bad_configuration(fails: Run, tmp_path: Path, small_model: Path, text: str, problem: str) -> None:
    path = tmp_path / "hls.yml"
    path.write_text(text)
    assert problem in fails(cli.main_hls, small_model, "-o", tmp_path / "firmware", "--config", path)


def test_configuration_that_cannot_be_read(fails: Run, tmp_path: Path, small_model: Path) -> None:
    path = tmp_path / "hls.yml"
    arguments = (small_model, "-o", tmp_path / "firmware", "--config", path)
    assert "No such file" in fails(cli.main_hls, *arguments)
    path.write_bytes(b"\xff\xfe\x00\x01")
    assert "not text" in fails(cli.main_hls, *arguments)


@pytest.mark.parametrize(
    "arguments", [("--clock-period", "-1"), ("--clock-period", "nan"), ("--part", ""), ("--part", 'x"; exec rm {a}')]
)
def test_impossible_target(fails: Run, tmp_path: Path, small_model: Path, arguments: tuple[str, str]) -> None:
    fails(cli.main_hls, small_model, "-o", tmp_path / "firmware", *arguments)


@pytest.mark.parametrize(
    "arguments", [[], ["bake"], ["run"], ["run", "m.onnx", "--input", "x.npy", "-o", "y", "--batch", "0"]]
)
def test_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert "usage: sparse-qonnx" in capsys.readouterr().err


# ---- Keras models ---------------------------------------------------------------------------------------------------


@pytest.mark.keras
@pytest.mark.parametrize("kind", ["empty", "text", "random", "zip"])
def test_a_file_that_is_no_keras_model(fails: Run, tmp_path: Path, small_model: Path, kind: str) -> None:
    pytest.importorskip("keras")
    bad = damaged(kind, tmp_path / "bad.keras", small_model)
    assert "bad.keras" in fails(cli.main, "export", bad, "-o", tmp_path / "model.onnx")


@pytest.mark.keras
def test_a_model_without_input_reduce(fails: Run, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    path = tmp_path / "dense.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.ReLU()]).save(path)
    assert "no InputReduce" in fails(cli.main, "export", path, "-o", tmp_path / "model.onnx")


def test_a_tool_that_is_missing(
    fails: Run, tmp_path: Path, small_model: Path, events: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    firmware = tmp_path / "firmware"
    assert cli.main_hls([str(small_model), "-o", str(firmware), "--csim", str(events)]) == 2
    assert (firmware / "manifest.json").exists()  # the project itself is whole
    shutil.rmtree(firmware)
    assert "no-such-compiler" in fails(cli.main, "verify", small_model, "--csim")
