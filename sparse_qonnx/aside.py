"""Whole or not at all: what is written is written aside, beside its target, and moved into place.

What lies aside is hidden and locked by the process that writes it. A process that is stopped by an exception removes
it; of one that is killed the lock is gone, and the next that writes the same target removes what it left.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from sparse_qonnx.errors import OutputPathError
from sparse_qonnx.locks import LocksUnsupported, is_file_of, try_lock

_ASIDE, _OLD = ".aside", ".old"
_NAME = 48
"""Characters of the target's name that are repeated: a name may have 255 bytes, a character four."""


@contextmanager
def aside_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A stream whose content becomes the file at the end, in one step; a reader sees the old file or the whole new one.

    Raises:
        OutputPathError: the folder does not exist, cannot be written, or is full; or the target is no regular file.
    """
    target = _regular(Path(path))
    aside = _begin(target)
    with as_output_error(f"output {str(path)!r}"):
        try:
            with _create(aside) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
                aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def aside_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty folder that becomes `path` at the end, in one step.

    Args:
        path: a folder that is not there, or empty.
        replace: a folder that is there; it is removed.

    Raises:
        OutputPathError: it cannot be written, or the disk is full.
    """
    with as_output_error(f"output folder {str(path)!r}"):
        target = Path(os.path.realpath(path))
        aside = _begin(target)
        try:
            with _make(aside):
                yield aside
                if replace:
                    _replace(aside, target)
                else:
                    aside.rename(target)  # refused if something came there in the meantime
        finally:
            _clear(aside)


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder for what nobody needs afterwards, in `parent` or where TMPDIR says.

    Raises:
        OutputPathError: it cannot be made.
    """
    with ExitStack() as stack:
        with as_output_error("temporary folder" if parent is None else f"folder {str(parent)!r}"):
            aside = _begin((parent or _temporary()) / "sparse-qonnx")
            stack.callback(_clear, aside)
            stack.enter_context(_make(aside, mode=0o700))
        yield aside


@contextmanager
def as_output_error(where: str) -> Iterator[None]:
    """Around writing, and nothing else: what the file system refuses is our error.

    Raises:
        OutputPathError: a folder that does not exist or cannot be written, a full disk.
    """
    try:
        yield
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}"
        raise OutputPathError(where, problem, fix="choose a folder that exists, is yours and has space") from error


def remove_leftovers(target: Path) -> None:
    """Remove what killed processes left of this target; put back an old folder that had been moved away already."""
    prefix = _prefix(target)
    try:
        with os.scandir(target.parent) as entries:
            found = [Path(entry.path) for entry in entries if entry.name.startswith(prefix)]
    except OSError:
        return  # whoever writes there next says so
    for path in found:
        if path.suffix == _OLD and not os.path.lexists(target):
            with suppress(OSError):
                path.rename(target)
        if path.suffix in {_ASIDE, _OLD}:
            _remove_unless_held(path)


# ---- aside ----------------------------------------------------------------------------------------------------------


def _temporary() -> Path:
    """Where `tempfile` would write, found without its trial file: a process that is killed would leave that behind."""
    named = [os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)]
    for folder in (*named, "/tmp", "/var/tmp", "."):
        if Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return Path(folder).resolve()
    raise OutputPathError("temporary folder", "is nowhere", fix="set TMPDIR to a folder that is yours and has space")


def _prefix(target: Path) -> str:
    return f".{target.name[:_NAME]}."


def _begin(target: Path) -> Path:
    remove_leftovers(target)
    return target.with_name(f"{_prefix(target)}{secrets.token_hex(4)}{_ASIDE}")


def _regular(path: Path) -> Path:
    """The file that a path means, through links; devices and pipes cannot be replaced by a file."""
    target = Path(os.path.realpath(path))
    with suppress(OSError):
        if not stat.S_ISREG(target.stat().st_mode):
            kind = "a folder" if target.is_dir() else "a device or a pipe"
            raise OutputPathError(f"output {str(path)!r}", f"is {kind}", allowed="a file name")
    return target


@contextmanager
def _create(path: Path) -> Iterator[IO[bytes]]:
    """A new file, locked."""
    while True:
        with path.open("xb") as stream:
            if _hold(stream.fileno(), path):
                yield stream
                return


@contextmanager
def _make(path: Path, mode: int = 0o777) -> Iterator[None]:
    """A new folder, locked."""
    while True:
        path.mkdir(mode)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if _hold(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)


def _hold(descriptor: int, path: Path) -> bool:
    """Lock what was just made; False when somebody took it for left over before it was locked."""
    with suppress(LocksUnsupported):
        try_lock(descriptor, wait=True)
    return is_file_of(descriptor, path)


def _clear(folder: Path) -> None:
    """Remove a folder to the end, even when a signal comes in between."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _remove_unless_held(path: Path) -> None:
    """Remove what lies aside and is ours, unless a process holds it, or nobody can know."""
    try:
        descriptor = os.open(path, (os.O_RDONLY if path.is_dir() else os.O_RDWR) | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        known = os.fstat(descriptor)
        if known.st_uid != os.geteuid() or not try_lock(descriptor) or not is_file_of(descriptor, path):
            return
        if stat.S_ISDIR(known.st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    except (LocksUnsupported, OSError):
        return
    finally:
        os.close(descriptor)


# ---- into place -----------------------------------------------------------------------------------------------------

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@cache
def _renameat2() -> ctypes._NamedFuncPointer | None:
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def _replace(aside: Path, target: Path) -> None:
    """Move a folder into place; what was there lies aside then."""
    if _exchange(aside, target):
        return
    # A file system that cannot exchange: for a moment nothing is in place. `remove_leftovers` puts the old one back.
    old = aside.with_suffix(_OLD)
    try:
        target.rename(old)
        aside.rename(target)
    except BaseException:
        if not os.path.lexists(target):
            old.rename(target)
        raise
    old.rename(aside)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where that is not possible."""
    function = _renameat2()
    if function is None:
        return False
    failed = function(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if failed and ctypes.get_errno() not in {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(other))
    return not failed
