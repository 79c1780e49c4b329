"""No command writes over what it reads: a trained model, events, constants beside a model, a configuration."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from sparse_qonnx import cli
from sparse_qonnx.errors import OutputPathError
from sparse_qonnx.export import export
from sparse_qonnx.report import write_report

COMMANDS = {
    "export": ["export", "m.keras", "-o"],
    "export of weights": ["export", "--builder", "os:getcwd", "--weights", "m.keras", "-o"],
    "run": ["run", "m.onnx", "--input", "x.npy", "--tensor", "dense", "-o"],
    "verify": ["verify", "m.onnx", "--input", "x.npy", "--keras", "m.keras", "--other", "o.onnx", "-o"],
    "report": ["report", "m.onnx", "--data", "x.npy", "--config", "c.yml", "-o"],
    "write-config": ["m.onnx", "--config", "c.yml", "--write-config"],
}
READ = {
    "export": ["m.keras"],
    "export of weights": ["m.keras"],
    "run": ["m.onnx", "m.data.npy", "x.npy"],
    "verify": ["m.onnx", "m.data.npy", "x.npy", "m.keras", "o.onnx"],
    "report": ["m.onnx", "m.data.npy", "x.npy", "c.yml"],
    "write-config": ["m.onnx", "m.data.npy", "c.yml"],
}


@pytest.fixture
def folder(tmp_path: Path, small_model: Path, small_events: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    model = onnx.load(small_model)
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data.npy", size_threshold=0)
    shutil.copy(small_model, tmp_path / "o.onnx")
    np.save(tmp_path / "x.npy", small_events)
    (tmp_path / "m.keras").write_bytes(b"trained for a week")
    (tmp_path / "c.yml").write_text("head: skip\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("command", "name"), [(command, name) for command in COMMANDS for name in READ[command]])
def test_an_output_that_is_an_input(folder: Path, command: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    ending = Path(name).suffix
    os.link(name, f"hard{ending}")
    Path(f"link{ending}").symlink_to(name)
    before = contents(folder)
    for output in (name, f"./{name}", f"hard{ending}", f"link{ending}"):
        main = cli.main_hls if command == "write-config" else cli.main
        assert main([*COMMANDS[command], output]) == 2
        said = capsys.readouterr().err
        assert f"output '{output.removeprefix('./')}': is the input" in said.replace("./", ""), said
    assert contents(folder) == before


def test_functions_do_not_either(folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(OutputPathError, match="is the input"):
        export("m.keras", "m.keras")
    with pytest.raises(OutputPathError, match="is the input"):
        write_report("m.onnx", "m.data.npy")
    assert contents(folder) == before
