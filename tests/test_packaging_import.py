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


def test_import_takes_no_time() -> None:
    """With all that a session needs: 0.3 s of the processor at most, beyond what numpy, onnx and onnxruntime take."""
    code = """
import time, numpy, onnx, onnxruntime
begin = time.process_time()
import sparse_qonnx
first = time.process_time()
sparse_qonnx.InferenceSession
print(first - begin, time.process_time() - begin)
"""
    measured = [tuple(map(float, run_python(code).split())) for _ in range(3)]
    package, session = (min(times) for times in zip(*measured, strict=True))
    assert package < 0.3 and session < 0.3


def test_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    import sparse_qonnx

    assert sparse_qonnx.__version__ == version("sparse-qonnx")


def test_unknown_name() -> None:
    import sparse_qonnx

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        sparse_qonnx.nonsense  # noqa: B018
