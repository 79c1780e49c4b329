"""The wheel: built with and without a C++ compiler, installed alone into an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """The output of a command that must succeed."""
    # Outside the source tree and without its paths, so that only what is installed can be found.
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | environment
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(repository: Path, folder: Path, **environment: str) -> zipfile.ZipFile:
    """The wheel of the working tree, opened."""
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder)
    run(*pip, f"--config-settings=build-dir={folder / 'build'}", repository, **environment)
    (wheel,) = folder.glob("*.whl")
    return zipfile.ZipFile(wheel)


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return build(repository, tmp_path_factory.mktemp("wheel"))


def test_one_wheel_for_every_python(wheel: zipfile.ZipFile) -> None:
    assert Path(str(wheel.filename)).name.split("-", 2)[2].startswith("py3-none-")


def test_wheel_holds_both_backends(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert "sparse_qonnx/_native/libsparse_qonnx_ops.so" in names
    assert any(name.startswith("sparse_qonnx/_hls_backend/kernels/") for name in names)
    assert "sparse_qonnx/py.typed" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


def test_without_a_compiler_the_wheel_says_so(repository: Path, tmp_path: Path) -> None:
    names = build(repository, tmp_path, CXX="/no/such/compiler")
    note = names.read("sparse_qonnx/_native/NOT_BUILT.txt").decode()
    assert "no C++ compiler" in note
    assert any(name.startswith("sparse_qonnx/_hls_backend/kernels/") for name in names.namelist())
