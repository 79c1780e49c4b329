"""Boxes for a command, one after the other, and the judgement of what is in them after a signal or on a full disk."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kill import moments
from kill.commands import Command, State, box, state, without_leftovers

DISK = 4 << 20
PAGE = 4096
CODES = {signal.SIGINT: {130, -signal.SIGINT}, signal.SIGTERM: {143, -signal.SIGTERM}, signal.SIGKILL: {-9}}
"""Exit codes of a process that a signal ended; the negative ones are of a signal before the command began."""


@dataclass
class Record:
    """What was found."""

    states: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    leftovers: int = 0

    def note(self, command: str, how: str, found: str, *problems: str) -> None:
        self.states[command, how, found] += 1
        self.problems += [f"{command}, {how}: {problem}" for problem in problems]


class Machine:
    """Boxes for one command.

    Args:
        command: what is killed.
        folder: where the boxes are, one after the other.
        record: where it is noted.
        log: what the command prints.
    """

    def __init__(self, command: Command, folder: Path, record: Record, log: Path) -> None:
        self.command, self.folder, self.record, self.log = command, folder, record, log
        counter = log.with_suffix(".events")
        with box(folder) as here:
            self._do(command.before)
            whole = [state(here)]
            for step in command.steps:
                self._do(step)
                whole.append(state(here))
            begin = time.monotonic()
            self._do(command.run, moments.count_events(counter))
            self.seconds = time.monotonic() - begin
            whole.append(state(here))
        self.whole = whole
        self.events = counter.stat().st_size
        self.pages = sum(len(data) // PAGE + 2 for _, data in whole[-1])

    def _do(self, act: Callable[[], int], prepare: Callable[[], None] = lambda: None) -> None:
        code = moments.wait(moments.start(act, self.log, prepare))
        if code not in {0} | self.command.done:
            raise RuntimeError(f"{self.command.name}: code {code}: {self.log.read_text()[-2000:]}")

    def at_time(self, number: signal.Signals, delay: float) -> None:
        """A signal after some seconds."""
        with box(self.folder) as here:
            self._do(self.command.before)
            code = moments.signal_later(moments.start(self.command.run, self.log), number, delay)
            self._judge(here, f"{number.name} at a random time", code, CODES[number], number is signal.SIGKILL)

    def at_event(self, number: signal.Signals, event: int) -> None:
        """A signal just before it changes a file for the nth time."""
        with box(self.folder) as here:
            self._do(self.command.before)
            process = moments.start(self.command.run, self.log, moments.at_event(event, number))
            self._judge(
                here, f"{number.name} at a change", moments.wait(process), CODES[number], number is signal.SIGKILL
            )

    def on_full_disk(self, free: int) -> None:
        """With so many bytes free."""
        with box(self.folder) as here:
            self._do(self.command.before)
            with _filled(self.folder, free):
                code = moments.wait(moments.start(self.command.run, self.log))
            self._judge(here, "full disk", code, {2}, False)

    def with_small_files(self, size: int) -> None:
        """With no file larger than so many bytes."""
        with box(self.folder) as here:
            self._do(self.command.before)
            process = moments.start(self.command.run, self.log, moments.largest_file(size))
            self._judge(here, "file size limit", moments.wait(process), {2}, False)

    def _judge(self, here: Path, how: str, code: int, expected: set[int], killed: bool) -> None:
        problems = [f"still running: {command}" for command in moments.alive(here)]
        if code not in expected | self.command.done:
            problems.append(f"ended with {code}: {self.log.read_text()[-1500:]}")
        found = state(here)
        left = found - without_leftovers(found)
        kept = {(name, data) for name, data in found if name in self.command.keeps}
        if left and not killed and not kept:
            problems.append(f"left {self._names(left)}")
        kind = self._kind(without_leftovers(found) - kept)
        if kind == "between":
            problems.append(f"between: {self._names(found)}")
        elif code in self.command.done and kind != "new" and self.whole[0] != self.whole[-1]:
            problems.append(f"said success, and the state is {kind}")
        self.record.note(self.command.name, how, kind, *problems)
        self.record.leftovers += bool(left and not kept)
        if left or kept:
            self._do(self.command.again or self.command.run)
            if without_leftovers(state(here)) != self.whole[-1]:
                self.record.problems.append(f"{self.command.name}: after the next run {self._names(state(here))}")

    @staticmethod
    def _names(found: State) -> list[str]:
        return sorted(name for name, _ in found)[:20]

    def _kind(self, found: State) -> str:
        if found == self.whole[0]:
            return "old"
        return "new" if found == self.whole[-1] else "new in part" if found in self.whole else "between"


@contextmanager
def _filled(disk: Path, free: int) -> Iterator[None]:
    """A file takes what is free, but for so many bytes."""
    filler = disk / "filler"
    stats = os.statvfs(disk)
    with filler.open("wb") as stream:
        stream.truncate(0)
        os.posix_fallocate(stream.fileno(), 0, max(stats.f_bavail * stats.f_bsize - free, 1))
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A tmpfs that goes with this process; False where it may not be mounted."""
    folder.mkdir()
    if ctypes.CDLL(None).unshare(0x20000) != 0:  # CLONE_NEWNS
        yield False
        return
    subprocess.run(["mount", "--make-rprivate", "/"], check=False)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=False)
    yield done.returncode == 0
    if done.returncode == 0:
        subprocess.run(["umount", str(folder)], check=False)
