"""Folders and files of any name, in any locale; compilers with arguments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness import KERNELS
from sparse_qonnx import _paths, cli
from sparse_qonnx.errors import ConfigurationError, ToolError
from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.headers import compiler_command
from sparse_qonnx.runtime import InferenceSession

NAMES = {"text": "a b  c n\u00e4ch\u6771 $(x)'\"&;*".encode(), "no text": b"caf\xe9 \xff"}


@pytest.fixture(params=NAMES)
def place(request: pytest.FixtureRequest, tmp_path: Path, small_model: Path, small_events: np.ndarray) -> Path:
    """A folder of such a name, with a model and events of the same."""
    name = os.fsdecode(NAMES[request.param])
    folder = tmp_path / name
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    shutil.copy(small_model, folder / f"{name}.onnx")
    np.save(folder / f"{name}.npy", small_events[:3])
    return folder


def commands(place: Path) -> list[list[str]]:
    stem = place / place.name
    model, x = f"{stem}.onnx", f"{stem}.npy"
    return [
        ["info", model],
        *(["run", model, "--input", x, "-o", f"{stem}.{kernels}.npz", "--kernels", kernels] for kernels in KERNELS),
        ["verify", model, "--input", x, "-o", f"{stem}.json", "--other", model],
        ["report", model, "--data", x, "-o", f"{stem}.html", "--no-firmware"],
    ]


def test_names_of_any_kind(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXXFLAGS", "-O0")
    pytest.importorskip("jinja2", reason="needs the [report] extra")
    for command in commands(place):
        assert cli.main(command) == 0, command
    stem = str(place / place.name)
    assert cli.main_hls([f"{stem}.onnx", "-o", f"{stem}.firmware", "--csim", f"{stem}.npy"]) == 0
    assert cli.main_hls([f"{stem}.onnx", "--write-config", f"{stem}.yml"]) == 0
    assert cli.main_hls([f"{stem}.onnx", "-o", f"{stem}.firmware", "--force", "--config", f"{stem}.yml"]) == 0
    missing = ["run", f"{stem}.onnx", "--input", f"{stem}.none.npy", "-o", f"{stem}.y.npy"]
    assert cli.main(missing) == 2


@pytest.mark.skipif("native" not in KERNELS, reason="the native kernels were not built here")
def test_the_library_in_a_folder_of_any_name(place: Path, monkeypatch: pytest.MonkeyPatch, small_model: Path) -> None:
    library = _paths.find_library()
    assert library is not None
    shutil.copy(library, place / library.name)
    monkeypatch.setattr("sparse_qonnx.runtime.find_library", lambda: place / library.name)
    InferenceSession(small_model)


@pytest.mark.parametrize("utf8", ["0", "1"])
def test_under_a_c_locale(tmp_path: Path, small_model: Path, small_events: np.ndarray, utf8: str) -> None:
    """There Python decodes names otherwise; the same bytes are read and written."""
    folder = os.fsencode(tmp_path) + b"/" + NAMES["no text"] + b"\xc3\xa4"
    Path(os.fsdecode(folder)).mkdir()
    shutil.copy(small_model, folder + b"/m.onnx")
    np.save(os.fsdecode(folder + b"/x.npy"), small_events[:3])
    settings = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": utf8}
    program = [sys.executable, "-m", "sparse_qonnx.cli"]
    command = [*program, "run", folder + b"/m.onnx", "--input", folder + b"/x.npy", "-o", folder + b"/y.npy"]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert os.path.isfile(folder + b"/y.npy")  # noqa: PTH113  # bytes
    command[command.index(b"--input") + 1 if b"--input" in command else 6] = folder + b"/none.npy"
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"cannot be read: No such file" in done.stderr


# ---- compilers ------------------------------------------------------------------------------------------------------


@pytest.fixture
def wrapper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `ccache` that notes its arguments and runs them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "ccache"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/said"\nexec "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path / "said"


def test_a_compiler_with_arguments(
    wrapper: Path, small_model: Path, small_events: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "ccache g++ -O0 '-DNAME=a b'")
    project = to_hls(small_model, tmp_path / "firmware")
    project.compile()
    assert project.predict(small_events[:1], tensor="dense").shape == (1, 3)
    monkeypatch.setenv("CXX", "ccache false")
    for work in (project.compile, project.census):
        with pytest.raises(ToolError, match="ccache false: cannot compile"):
            work()
    with_level, without, counted = (line.split() for line in wrapper.read_text().splitlines())
    assert with_level[:4] == ["g++", "-O0", "-DNAME=a", "b"]
    assert "-O3" not in with_level
    assert "-O3" in without
    assert counted[0] == "false"


def test_a_compiler_in_a_folder_with_spaces(wrapper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "my tools" / "g++"
    program.parent.mkdir()
    shutil.copy(tmp_path / "bin" / "ccache", program)
    for text in (str(program), f"'{program}' -m64"):
        monkeypatch.setenv("CXX", text)
        assert compiler_command()[0] == str(program)
    assert compiler_command()[1:] == ["-m64"]
    for text in ("", "  "):
        monkeypatch.setenv("CXX", text)
        assert Path(compiler_command()[0]).name == "g++"


@pytest.mark.parametrize("variable", ["CXX", "CXXFLAGS"])
def test_an_open_quote(variable: str, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "g++ '-O1")
    project = to_hls(small_model, tmp_path / "firmware")
    with pytest.raises(ConfigurationError, match=rf"\${variable}: is .*cannot be read.*quotes"):
        project.compile()
