"""Programs that are run, and end with whoever runs them: compilers, synthesis tools and what these start themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from sparse_qonnx.system import supervisor


@contextmanager
def child(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, merge: bool = False
) -> Iterator[subprocess.Popen[str]]:
    """A running program, its output in pipes; an exception, and the end of this process however it comes, end it.

    Args:
        command: program and arguments; no shell.
        cwd: where it runs.
        env: variables beside those of this process.
        merge: stderr into stdout.
    """
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", supervisor.__file__, *command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merge else subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    # Not `process.stdin`, which `communicate` would close: that is how the child learns that this process is gone.
    lifeline, process.stdin = process.stdin, None
    assert lifeline is not None
    with lifeline, process:
        try:
            yield process
        except BaseException:
            stop(process)
            raise


def run_child(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, see `child`.

    Returns:
        Its code, 128 + n after signal n, and its output.
    """
    with child(command, cwd=cwd, env=env) as process:
        output, errors = process.communicate()
    return subprocess.CompletedProcess(list(command), process.returncode, output, errors)


def stop(process: subprocess.Popen[str]) -> None:
    """End a child and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
