"""Work that survives being killed: what is done lies beside the output, with what it was done from.

Of an output `y.npy` there are, until it is complete, `y.npy.state` (JSON: the model, inputs and options, how far the
work is, and the name of the part) and the part `y.npy.0123456789abcdef.part` (what will be the output). A later run
with the same ones goes on there; with others it refuses. If the part is no longer what the state says, it begins again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from sparse_qonnx.errors import ConfigurationError, OutputPathError
from sparse_qonnx.files import write_bytes
from sparse_qonnx.system.atomic import as_output_error, atomic_file, create, into_place, token
from sparse_qonnx.system.locks import LocksUnsupported, is_file_of, try_lock
from sparse_qonnx.system.outputs import output_file
from sparse_qonnx.system.regular import read_regular

CHECKPOINT_SECONDS = 5.0
"""How much work a kill may cost."""

GENERATOR = "sparse-qonnx run"
_STATE_BYTES = 1 << 26
"""More than any state has."""
_PIECE = 1 << 20


class RestartWarning(UserWarning):
    """What an interrupted run left cannot be used; the work begins again."""


class Resumable:
    """An output that is written bit by bit; a context manager, within which nobody else may write it.

    Args:
        output: the file that will be there in the end, see `output_file`.
        key: what the work is done from, ready for JSON; work with an equal key is gone on with.
        restart: begin again whatever an earlier run left.
        inputs: files that are read; none of them may be the output.

    Attributes:
        progress: what was saved last; {} at the beginning.
        size: bytes of the part that the progress counts.

    Raises:
        OutputPathError: if another run is writing the output, it cannot be written, or the state is no run's.
        ConfigurationError: if an earlier run was interrupted that did other work.
    """

    def __init__(
        self, output: Path, key: Mapping[str, Any], restart: bool = False, inputs: Iterable[str | Path] = ()
    ) -> None:
        self._output = output_file(output, inputs)
        self._where = f"output {str(output)!r}"
        self._state = _beside(self._output, ".state")
        self._key = json.loads(json.dumps(key))
        self._restart = restart
        self._saved = time.monotonic()
        self._digest = hashlib.sha256()
        self._part, self._is_new = self._output, False
        self._stream: IO[bytes] | None = None
        self.progress: dict[str, Any] = {}
        self.size = 0

    def __enter__(self) -> Resumable:
        saved = self._load()
        try:
            self._open(saved.get("part"))
            if saved and not self._restart:
                self._go_on(saved)
            if not self.progress:
                self._begin()
        except BaseException:
            if self._is_new:
                self._forget()
            if self._stream is not None:
                self._stream.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self.progress:
            with as_output_error(self._where):
                self._save()
        elif kind is not None:
            self._forget()
        self._file.close()

    @property
    def _file(self) -> IO[bytes]:
        assert self._stream is not None, "inside the context only"
        return self._stream

    def read(self, size: int) -> bytes:
        """The first bytes of what is there."""
        self._file.seek(0)
        found = self._file.read(min(size, self.size))
        self._file.seek(self.size)
        return found

    def begin_again(self, reason: str) -> None:
        """Forget what an earlier run left, and warn of it."""
        warnings.warn(f"{self._where}: {reason}; the run begins again", RestartWarning, stacklevel=3)
        self._begin()

    def append(self, data: bytes) -> None:
        """Write behind what is there."""
        with as_output_error(self._where):
            self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def done(self, progress: Mapping[str, Any]) -> None:
        """Remember what is done by now, on the disk from time to time."""
        self.progress = dict(progress)
        if time.monotonic() - self._saved >= CHECKPOINT_SECONDS:
            with as_output_error(self._where):
                self._save()

    def complete(self) -> None:
        """Move the file into its place; nothing else is left."""
        with as_output_error(self._where):
            self._sync()
            into_place(self._part, self._output)
        self._forget()

    def complete_as(self, write: Callable[[Path, IO[bytes]], None]) -> None:
        """Let the output be what is written from the part, whose path and a stream are given; nothing else is left."""
        with as_output_error(self._where):
            self._save()
            with atomic_file(self._output) as stream:
                write(self._part, stream)
        self._forget()

    # ---- the part ---------------------------------------------------------------------------------------------------

    def _open(self, name: str | None) -> None:
        """Open and lock the part that a state names, or a new one."""
        with as_output_error(self._where):
            if name is not None:
                self._part = self._output.with_name(name)
                with suppress(FileNotFoundError):  # noted when it turns out to be too short
                    descriptor = os.open(self._part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                    self._stream = open(descriptor, "r+b")  # noqa: PTH123, SIM115
            if self._stream is None:
                self._part, self._is_new = _beside(self._output, f".{token()}.part"), True
                self._stream = create(self._part, self._output)
        self._lock()

    def _lock(self) -> None:
        try:
            free = try_lock(self._file.fileno())
        except LocksUnsupported:
            free = True
        # the other run may have finished between our look and our lock
        if not free or not is_file_of(self._file.fileno(), self._part):
            self._file.close()
            raise OutputPathError(self._where, "is being written by another run", fix="wait until that has ended")

    def _go_on(self, saved: Mapping[str, Any]) -> None:
        """Take up what a state counts, if the part still holds it."""
        size, left = saved["size"], saved["size"]
        with as_output_error(self._where):
            digest = hashlib.sha256()
            while left > 0 and (piece := self._file.read(min(left, _PIECE))):
                digest.update(piece)
                left -= len(piece)
            if left > 0:
                return self.begin_again(f"{self._part.name!r} was cut: it has {size - left:,} of {size:,} bytes")
            if digest.hexdigest() != saved["sha256"]:
                return self.begin_again(f"{self._part.name!r} is not what the interrupted run wrote")
            self._file.truncate(size)
            self._file.seek(size)
        self._digest, self.size, self.progress = digest, size, saved["progress"]
        return None

    def _begin(self) -> None:
        with as_output_error(self._where):
            self._file.seek(0)
            self._file.truncate(0)
            self._digest, self.size, self.progress = hashlib.sha256(), 0, {}
            self._save()

    def _forget(self) -> None:
        """Remove the part, and the state if it is that of this part."""
        with suppress(OutputPathError):
            if self._saved_state().get("part") == self._part.name:
                self._state.unlink(missing_ok=True)
        self._part.unlink(missing_ok=True)

    def _sync(self) -> None:
        """No state may count what a power cut would take away."""
        self._file.flush()
        os.fsync(self._file.fileno())

    # ---- the state --------------------------------------------------------------------------------------------------

    def _load(self) -> dict[str, Any]:
        """The state of an interrupted run that did the same work, or any with `restart`; {} if there is none."""
        saved = self._saved_state()
        key = saved.get("key", self._key)
        changed = [name for name in {**self._key, **key} if key.get(name) != self._key.get(name)]
        if changed and not self._restart:
            fix = "give the same ones to go on, or --restart to begin again"
            where = f"state {str(self._state)!r}"
            raise ConfigurationError(where, f"an interrupted run had another {', '.join(changed)}", fix=fix)
        return saved

    def _saved_state(self) -> dict[str, Any]:
        """What is in the state; {} if there is none."""
        if not os.path.lexists(self._state):
            return {}
        try:
            return _checked(json.loads(read_regular(self._state, _STATE_BYTES)), self._output)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            where, fix = f"state {str(self._state)!r}", "move it away, or choose another output"
            raise OutputPathError(where, "is not the state of an interrupted run", fix=fix) from error

    def _save(self) -> None:
        self._sync()
        state = {
            "generator": GENERATOR,
            "part": self._part.name,
            "key": self._key,
            "progress": self.progress,
            "size": self.size,
            "sha256": self._digest.hexdigest(),
        }
        write_bytes(json.dumps({**state, "check": _check(state)}).encode(), self._state)
        self._saved = time.monotonic()


def _check(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _checked(state: Any, output: Path) -> dict[str, Any]:
    """A state that is whole and one of ours.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it is not.
    """
    check = state.pop("check")
    if state["generator"] != GENERATOR or check != _check(state):
        raise ValueError("another file, or a damaged one")
    own = re.search(r"\.[0-9a-f]{16}\.part\Z", state["part"])
    if own is None or state["part"] != _beside(output, own[0]).name:
        raise ValueError("a part of another output")
    if not (isinstance(state["size"], int) and state["size"] >= 0 and isinstance(state["sha256"], str)):
        raise ValueError("no size")
    return {**state, "key": dict(state["key"]), "progress": dict(state["progress"])}


def _beside(path: Path, suffix: str) -> Path:
    """The path of a file that goes with another; where a name would be too long, its hash stands for its end."""
    room = os.pathconf(path.parent, "PC_NAME_MAX") - len(os.fsencode(suffix))
    name = path.name
    if len(os.fsencode(name)) <= room:
        return path.with_name(name + suffix)
    mark = f"~{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    while len(os.fsencode(name)) > room - len(mark):
        name = name[:-1]
    return path.with_name(name + mark + suffix)
