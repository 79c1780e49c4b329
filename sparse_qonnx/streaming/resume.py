"""Work that survives being killed: what is done lies beside the output, with what it was done from.

Of an output `y.npy` there are, until it is complete, `y.npy.part` (what will be it) and `y.npy.state` (JSON: how far
that is, and the model, inputs and options). A later run with the same ones goes on there; with others it refuses.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from sparse_qonnx.aside import as_output_error, remove_leftovers
from sparse_qonnx.errors import ConfigurationError, OutputPathError
from sparse_qonnx.files import write_bytes
from sparse_qonnx.locks import LocksUnsupported, is_file_of, try_lock

CHECKPOINT_SECONDS = 5.0
"""How much work a kill may cost."""


class Resumable:
    """An output that is written bit by bit; a context manager, within which nobody else may write it.

    Args:
        output: the file that will be there in the end.
        key: what the work is done from, ready for JSON; work with an equal key is gone on with.
        restart: begin again whatever an earlier run left.

    Attributes:
        progress: what was saved last; {} at the beginning.

    Raises:
        OutputPathError: if another run is writing the output, it cannot be written, or what is there is no run's.
        ConfigurationError: if an earlier run was interrupted that did other work.
    """

    def __init__(self, output: Path, key: Mapping[str, Any], restart: bool = False) -> None:
        self._output = output
        self._where = f"output {str(output)!r}"
        self._part = output.with_name(output.name + ".part")
        self._state = output.with_name(output.name + ".state")
        self._key = json.loads(json.dumps(key))
        self._restart = restart
        self._saved = time.monotonic()
        self.progress: dict[str, Any] = {}

    def __enter__(self) -> Resumable:
        if not self._restart:
            self.progress = self._load()
        with as_output_error(self._where):
            if not self._state.exists():
                self._save()  # before the part: a part without a state is no run's
            self._stream = self._part.open("r+b" if self._part.exists() else "x+b")
        try:
            self._lock()
        except BaseException:
            self._stream.close()
            raise
        remove_leftovers(self._state)  # of a run that was killed while it wrote the state
        if not self.progress:
            self.cut(0)
            self._save()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self.progress:
            with as_output_error(self._where):
                self._sync()
                self._save()
        elif kind is not None:
            self._part.unlink(missing_ok=True)
            self._state.unlink(missing_ok=True)
        self._stream.close()

    def read(self, size: int) -> bytes:
        """The first bytes of what is there."""
        self._stream.seek(0)
        return self._stream.read(size)

    def cut(self, size: int) -> None:
        """Forget all but the first bytes; what is appended follows them."""
        with as_output_error(self._where):
            self._stream.truncate(size)
            self._stream.seek(size)

    def append(self, data: bytes) -> None:
        """Write behind what is there."""
        with as_output_error(self._where):
            self._stream.write(data)

    def done(self, progress: Mapping[str, Any]) -> None:
        """Remember what is done by now, on the disk from time to time."""
        self.progress = dict(progress)
        if time.monotonic() - self._saved >= CHECKPOINT_SECONDS:
            with as_output_error(self._where):
                self._sync()
                self._save()

    def complete(self) -> None:
        """Move the file into its place; nothing else is left."""
        with as_output_error(self._where):
            self._sync()
            self._part.replace(self._output)
            self._state.unlink()

    # ---- the two files ----------------------------------------------------------------------------------------------

    def _load(self) -> dict[str, Any]:
        if not self._state.exists():
            if self._part.exists():
                fix = "remove it, or give --restart"
                raise OutputPathError(f"file {str(self._part)!r}", "is there without a state", fix=fix)
            return {}
        where = f"state {str(self._state)!r}"
        try:
            saved = json.loads(self._state.read_text(encoding="utf-8"))
            key, progress = dict(saved["key"]), dict(saved["progress"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            fix = "remove it, or give --restart"
            raise OutputPathError(where, "is not the state of an interrupted run", fix=fix) from error
        changed = [name for name in {**self._key, **key} if key.get(name) != self._key.get(name)]
        if changed:
            fix = "give the same ones to go on, or --restart to begin again"
            raise ConfigurationError(where, f"an interrupted run had another {', '.join(changed)}", fix=fix)
        return progress if self._part.exists() else {}

    def _save(self) -> None:
        write_bytes(json.dumps({"key": self._key, "progress": self.progress}).encode(), self._state)
        self._saved = time.monotonic()

    def _sync(self) -> None:
        """No state may count what a power cut would take away."""
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def _lock(self) -> None:
        try:
            free = try_lock(self._stream.fileno())
        except LocksUnsupported:
            free = True
        # the other run may have finished between our look and our lock
        if not free or not is_file_of(self._stream.fileno(), self._part):
            raise OutputPathError(self._where, "is being written by another run", fix="wait until that has ended")
