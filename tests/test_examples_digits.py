"""The demo runs to its end, only shorter: the accuracy is poor then, the values are the same everywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.keras, pytest.mark.csim]


def test_demo(repository: Path, tmp_path: Path) -> None:
    for package in ("keras", "sklearn", "matplotlib", "da4ml"):
        pytest.importorskip(package)
    script = repository / "examples" / "digits" / "demo.py"
    command = [sys.executable, str(script), "--output", str(tmp_path), "--events", "20", "--training", "640"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "C-sim" in done.stdout
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"digits.keras", "digits.onnx", "event.png", "firmware", "x.npy"}
