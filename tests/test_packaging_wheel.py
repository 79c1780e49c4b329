"""Wheel and sdist: with and without a C++ compiler, what is in them, installed alone into an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]  # one process builds the one wheel


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
    assert "sparse_qonnx/templates/report.html.j2" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


@pytest.fixture(scope="module")
def wheel_without_kernels(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return build(repository, tmp_path_factory.mktemp("without"), CXX="/no/such/compiler")


def test_without_a_compiler_the_wheel_says_so(wheel_without_kernels: zipfile.ZipFile) -> None:
    names = wheel_without_kernels
    note = names.read("sparse_qonnx/_native/NOT_BUILT.txt").decode()
    assert "no C++ compiler" in note
    assert any(name.startswith("sparse_qonnx/_hls_backend/kernels/") for name in names.namelist())


def test_sdist_gives_the_same_wheel(repository: Path, wheel_without_kernels: zipfile.ZipFile, tmp_path: Path) -> None:
    """What is needed to build, to test and to read; nothing that was built."""
    run(sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path, repository)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
        sdist.extractall(tmp_path, filter="data")
    for needed in ("pyproject.toml", "CMakeLists.txt", "LICENSE", "README.md", "sparse_qonnx/py.typed", "noxfile.py",
                   "custom_ops/CMakeLists.txt", "hls_backend/kernels/sparse_conv.h", "tests/conftest.py"):  # fmt: skip
        assert needed in names
    top = {name.split("/")[0] for name in names}
    assert not top & {".git", ".venv", "build", "dist", ".ci", ".pytest_cache", ".hypothesis"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".so", ".o", ".pyc"))]
    built = build(tmp_path / archive.name.removesuffix(".tar.gz"), tmp_path / "wheel", CXX="/no/such/compiler")

    def contents(found: zipfile.ZipFile) -> dict[str, int]:
        return {i.filename: i.CRC for i in found.infolist() if not i.filename.endswith("RECORD")}

    assert contents(built) == contents(wheel_without_kernels)


# ---- installed alone ------------------------------------------------------------------------------------------------

PLAIN = """
import sys, numpy, onnx, onnxruntime
onnx.checker.check_model(sys.argv[1], full_check=True)
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
numpy.save(sys.argv[3], session.run(None, {"image": numpy.load(sys.argv[2])})[0])
"""


def lower_bounds(repository: Path) -> list[str]:
    """The oldest releases that pyproject.toml allows, as requirements; those for other Pythons keep their markers."""
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [requirement.replace(">=", "==", 1) for requirement in project["dependencies"]]


@pytest.mark.parametrize("releases", ["oldest", "newest"])
def test_alone_in_an_empty_environment(
    repository: Path,
    wheel: zipfile.ZipFile,
    small_model: Path,
    small_events: np.ndarray,
    tmp_path: Path,
    releases: str,
) -> None:
    """No Keras anywhere: run, verify and convert a file; then without this package, stock onnxruntime does the same."""
    python, scripts = tmp_path / "venv" / "bin" / "python", tmp_path / "venv" / "bin"
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--quiet", str(wheel.filename), *(lower_bounds(repository) if releases == "oldest" else []))
    assert run(python, "-c", "import importlib.util as u; print(u.find_spec('keras'))", cwd=tmp_path).strip() == "None"

    events, answers = tmp_path / "x.npy", tmp_path / "y.npy"
    np.save(events, small_events)
    arguments = (small_model, "--input", events)
    run(scripts / "sparse-qonnx", "info", small_model, cwd=tmp_path)
    run(scripts / "sparse-qonnx", "run", *arguments, "-o", answers, "--kernels", "native", cwd=tmp_path)
    assert " native " in run(scripts / "sparse-qonnx", "verify", *arguments, cwd=tmp_path)
    run(scripts / "qonnx-to-hls", small_model, "-o", tmp_path / "firmware", cwd=tmp_path)
    assert (tmp_path / "firmware" / "firmware" / "kernels").is_dir()

    run(*pip, "uninstall", "--quiet", "--yes", "sparse-qonnx")
    run(python, "-c", PLAIN, small_model, events, tmp_path / "plain.npy", cwd=tmp_path)
    assert (np.load(tmp_path / "plain.npy") == np.load(answers)).all()
