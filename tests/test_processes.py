"""Who ends with whom: compilers with the run that started them, and a run on a terminal that is left as it was."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from processes import heed, python
from sparse_qonnx.system.processes import run_child


def test_a_child_gives_its_code_and_output(tmp_path: Path) -> None:
    done = run_child(["sh", "-c", "pwd; echo $WORD >&2; cat; exit 3"], cwd=tmp_path, env={"WORD": "word"})
    assert (done.returncode, done.stdout, done.stderr) == (3, f"{tmp_path}\n", "word\n")
    assert run_child(["sh", "-c", "kill -9 $$"]).returncode == 128 + 9
    missing = run_child(["/no/such/program"])
    assert missing.returncode == 127 and "/no/such/program: No such file" in missing.stderr


def running(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_children_and_their_children_end_with_us(tmp_path: Path, number: signal.Signals) -> None:
    code = """
import sys
from sparse_qonnx.system.processes import run_child
print("ready", flush=True)
run_child(["sh", "-c", f"sleep 60 & echo $! > {sys.argv[1]}/pid; mv {sys.argv[1]}/pid {sys.argv[1]}/child; sleep 60"])
"""
    process = python(code, tmp_path, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while not (tmp_path / "child").exists() and time.monotonic() < until:
        time.sleep(0.01)
    child = int((tmp_path / "child").read_text())
    assert running(child)
    process.send_signal(number)
    process.wait(5)
    while running(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not running(child)


@pytest.fixture
def slow_run(small_model: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`sparse-qonnx run` on a terminal, with events for a while, also on a busy machine."""
    np.save(tmp_path / "x.npy", np.zeros((100_000, 6, 8, 1), np.float32))
    master, terminal = pty.openpty()
    command = [sys.executable, "-m", "sparse_qonnx.cli", "run", small_model, "--input", tmp_path / "x.npy"]
    process = subprocess.Popen(
        [*map(str, command), "-o", str(tmp_path / "y.npy"), "--batch", "1", "--kernels", "function"],
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True, env={**os.environ, "TERM": "xterm"},
        preexec_fn=heed,
    )  # fmt: skip
    os.close(terminal)
    yield process, master
    process.kill()
    process.wait()
    os.close(master)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
def test_the_terminal_is_left_as_it_was(
    slow_run: tuple[subprocess.Popen[bytes], int], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process, master = slow_run
    seen = b""
    while b"running" not in seen:
        seen += os.read(master, 10_000)
    process.send_signal(number)
    with suppress(OSError):  # the other end is closed
        while part := os.read(master, 10_000):
            seen += part
    assert process.wait() == code
    assert seen.rfind(b"\x1b[?25h") > seen.rfind(b"\x1b[?25l") > -1, "the cursor is shown again"
    assert b"Traceback" not in seen and not (tmp_path / "y.npy").exists()
