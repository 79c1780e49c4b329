"""The two commands when all is well, and when implementations disagree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from sparse_qonnx import cli


@pytest.fixture
def events(tmp_path: Path, small_events: np.ndarray) -> Path:
    path = tmp_path / "x.npy"
    np.save(path, small_events)
    return path


@pytest.mark.parametrize("batch", ["1", "7", "256"])
def test_run(tmp_path: Path, small_model: Path, events: Path, small_events: np.ndarray, batch: str) -> None:
    output = tmp_path / "y.npy"
    arguments = ["run", str(small_model), "--input", str(events), "-o", str(output), "--batch", batch]
    assert cli.main([*arguments, "--kernels", "function"]) == 0
    stock = onnxruntime.InferenceSession(small_model, providers=["CPUExecutionProvider"])
    assert (np.load(output) == stock.run(None, {"image": small_events})[0]).all()


def test_run_named_input_and_tensor(tmp_path: Path, small_model: Path, events: Path) -> None:
    output = tmp_path / "y.npy"
    arguments = ["--input", f"image={events}", "-o", str(output), "--tensor", "reduce.coords"]
    assert cli.main(["run", str(small_model), *arguments, "--kernels", "function"]) == 0
    assert np.load(output).shape == (20, 5, 2)


def test_float64_events_are_taken(tmp_path: Path, small_model: Path, small_events: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", small_events.astype(np.float64))
    arguments = ["--input", str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.npy"), "--kernels", "function"]
    assert cli.main(["run", str(small_model), *arguments]) == 0


def test_verify_random_events(small_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", str(small_model), "--events", "40"]) == 0
    assert "No mismatch" in capsys.readouterr().out


@pytest.mark.csim
def test_verify_with_c_simulation(small_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("da4ml")
    assert cli.main(["verify", str(small_model), "--events", "40", "--csim"]) == 0
    assert "C-sim" in capsys.readouterr().out


def test_a_function_body_that_lies_is_refused(
    tmp_path: Path, small_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stock onnxruntime computes what the file's function bodies say, native kernels what their names say."""
    model = onnx.load(small_model)
    (pool,) = [function for function in model.functions if function.name == "SparsePool"]
    last = next(node for node in reversed(pool.node) if pool.output[0] in node.output)
    last.output[list(last.output).index(pool.output[0])] = "honest"
    pool.node.append(onnx.helper.make_node("Neg", ["honest"], [pool.output[0]]))
    path = tmp_path / "lies.onnx"
    onnx.save(model, path)
    assert cli.main(["verify", str(path), "--events", "40"]) == 2
    assert "function 'SparsePool' of domain 'sparse_qonnx.ops': is not the definition" in capsys.readouterr().err


def test_info(small_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(small_model)]) == 0
    out = capsys.readouterr().out
    for text in ("input image [batch, 6, 8, 1]: ap_ufixed<6,1>", "SparseConv", "row, column", "native kernels"):
        assert text in out
    assert "…" not in out  # names and types fit, or go on in the next line
    assert all(len(line) <= 80 for line in out.splitlines() if "ap_" in line)


@pytest.mark.csim
def test_to_hls(tmp_path: Path, small_model: Path, events: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("da4ml")
    config = tmp_path / "hls.yml"
    config.write_text("head: skip\n")
    arguments = [str(small_model), "-o", str(tmp_path / "firmware"), "--backend", "Vivado", "--config", str(config)]
    assert cli.main_hls([*arguments, "--csim", str(events)]) == 0
    out = capsys.readouterr().out
    assert "input image: ap_ufixed<6,1>" in out
    assert "No mismatch" in out
    assert (tmp_path / "firmware" / "build_prj.tcl").exists()


def test_write_config(tmp_path: Path, small_model: Path) -> None:
    path = tmp_path / "hls.yml"
    assert cli.main_hls([str(small_model), "--part", "xc7z020clg400-1", "--write-config", str(path)]) == 0
    assert "part: xc7z020clg400-1\n" in path.read_text()
    assert cli.main_hls([str(small_model), "--config", str(path), "-o", str(tmp_path / "firmware")]) == 0
    assert cli.main_hls([str(small_model), "--config", str(path)]) == 2, "nowhere to write to"


@pytest.mark.csim
def test_census(tmp_path: Path, small_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main_hls([str(small_model), "-o", str(tmp_path / "firmware"), "--census"]) == 0
    out = capsys.readouterr().out
    for word in ("mult", "select", "ROM", "conv", "total"):
        assert word in out


@pytest.mark.parametrize("command", [cli.main, cli.main_hls])
@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version(command: object, argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(command)
    with pytest.raises(SystemExit) as stopped:
        command([argument])
    assert stopped.value.code == 0
    assert "sparse-qonnx" in capsys.readouterr().out or command is cli.main_hls


@pytest.mark.parametrize("arguments", [["info"], ["run", "--input", "x", "-o", "y"], ["verify"]])
def test_commands_never_import_keras(small_model: Path, arguments: list[str]) -> None:
    code = f"import sys; from sparse_qonnx import cli; cli.main({[arguments[0], str(small_model), *arguments[1:]]!r})"
    check = "; sys.exit(any(m in sys.modules for m in ('keras', 'tensorflow', 'hgq', 'sparsepixels')))"
    done = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
