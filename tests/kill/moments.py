"""One moment: a command in a process of its own, a signal, and what is there afterwards."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

STARTS_AND_FILES = frozenset(
    {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "os.listdir", "os.chmod", "fcntl.flock"}
    | {"shutil.rmtree", "subprocess.Popen", "os.kill", "os.killpg"}
)
"""Audit events of what changes files and processes."""


def start(act: Callable[[], int], log: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Fork a process that does it; the exit code of an unexpected exception is 99. Returns its id."""
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        return process
    code = 99
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        tempfile.tempdir = None
        os.environ["TMPDIR"] = str(Path.cwd().parent / "tmp")
        prepare()
        code = act()
    except KeyboardInterrupt:
        code = 130  # between this and the command's own handler
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else 98
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def wait(process: int) -> int:
    """Its exit code, -n after signal n."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def signal_later(process: int, number: int, delay: float) -> int:
    """Send a signal after some seconds; the exit code."""
    time.sleep(delay)
    with suppress(ProcessLookupError):
        os.kill(process, number)
    return wait(process)


def at_event(count: int, number: int) -> Callable[[], None]:
    """Preparation: a signal to itself just before the nth thing that it does to files or processes."""
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in STARTS_AND_FILES and not _reading(event, arguments):
            seen += 1
            if seen == count:
                os.kill(os.getpid(), number)

    return lambda: sys.addaudithook(hook)


def _reading(event: str, arguments: Sequence[object]) -> bool:
    """Opening a file to read it changes nothing; imports do a lot of it."""
    if event != "open":
        return False
    flags = arguments[2]
    return isinstance(flags, int) and not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)


def count_events(into: Path) -> Callable[[], None]:
    """Preparation: counts the events in a file, one byte each."""
    descriptor = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in STARTS_AND_FILES and not _reading(event, arguments):
            os.write(descriptor, b".")

    return lambda: sys.addaudithook(hook)


def largest_file(size: int) -> Callable[[], None]:
    """Preparation: a disk that is full, for who may not mount one; no file gets larger than this."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def alive(folder: Path, seconds: float = 3.0) -> list[str]:
    """Command lines of processes that still have to do with a folder after some seconds."""
    until = time.monotonic() + seconds
    while (found := _processes(str(folder))) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def _processes(text: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if text in command or text in str((entry / "cwd").readlink()):
                    found.append(command)
    return found
