"""Processes that the tests start to stop them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path


def heed() -> None:
    """Signals are heeded, also where the tests run in a shell's background or under nohup, which are deaf to some."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def python(code: str, *arguments: str | Path, **options: object) -> subprocess.Popen[str]:
    """A process that runs `code` and says "ready" when it is."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=heed, **options)  # type: ignore[call-overload]
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process
