"""What `import sparse_qonnx` promises: it is light, and its public names are functions whatever was imported."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run_python(code: str) -> str:
    """The standard output of a fresh interpreter that ran `code`."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_is_light() -> None:
    heavy = ["keras", "tensorflow", "hgq", "sparsepixels", "onnxruntime", "qonnx"]
    code = f"import sys, sparse_qonnx; print([m for m in {heavy} if m in sys.modules])"
    assert run_python(code) == "[]"


def test_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    import sparse_qonnx

    assert sparse_qonnx.__version__ == version("sparse-qonnx")


def test_unknown_name() -> None:
    import sparse_qonnx

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        sparse_qonnx.nonsense  # noqa: B018
