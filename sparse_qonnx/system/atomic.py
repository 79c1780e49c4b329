"""Files and folders that appear whole or not at all.

What is written is a temporary file or folder beside its target, which is moved into place in one step. Its name ends in
`.sparse-qonnx` behind a random part that only this process knows: no other process looks for it or removes it. One that
is stopped by an exception removes its own; one that is killed leaves it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from sparse_qonnx.errors import OutputPathError
from sparse_qonnx.system.outputs import output_file

SUFFIX = ".sparse-qonnx"
"""What temporary names end in."""
_NAME = 48
"""Characters of the target's name that are repeated: a name may have 255 bytes, a character four."""


@contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A stream whose content becomes the file at the end, in one step; a reader sees the old file or the whole new one.

    A file that is there keeps its permissions and, where that is allowed, its owner.

    Raises:
        OutputPathError: see `output_file`; or the disk is full.
    """
    target = output_file(path)
    temporary = temporary_path(target)
    with as_output_error(f"output {str(path)!r}"):
        try:
            with create(temporary, target) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            into_place(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def create(path: Path, target: Path) -> IO[bytes]:
    """A new file that only its owner reads until it takes a target's place; open for reading and writing."""
    new = not target.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666 if new else 0o600)
    return open(descriptor, "r+b")  # noqa: PTH123


def into_place(temporary: Path, target: Path) -> None:
    """Move a whole file to its target, with the permissions and the owner of the file that is there."""
    output_file(target)  # it may have become something else since it was looked at
    with suppress(FileNotFoundError):
        old = target.stat()
        if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
            with suppress(PermissionError):
                os.chown(temporary, old.st_uid, old.st_gid)
        temporary.chmod(stat.S_IMODE(old.st_mode))
    temporary.replace(target)


@contextmanager
def atomic_folder(path: Path, *, discard: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """An empty folder that becomes `path` at the end, in one step.

    Args:
        path: a folder.
        discard: removes what was in the old folder, at the place where that is by then; None: the folder is not there,
            or empty.

    Raises:
        OutputPathError: it cannot be written, or the disk is full.
    """
    with as_output_error(f"output folder {str(path)!r}"):
        target = Path(os.path.realpath(path))
        temporary = temporary_path(target)
        new = -1
        try:
            temporary.mkdir()
            new = temporary.stat().st_ino
            yield temporary
            with suppress(FileNotFoundError):
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            if discard is None:
                temporary.rename(target)  # refused if something came there in the meantime
            else:
                _exchange(temporary, target)
        finally:
            with suppress(FileNotFoundError):
                is_new = new in {-1, temporary.stat().st_ino}
                _finish(remove_folder if is_new or discard is None else discard, temporary)


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder for what nobody needs afterwards, in `parent` or where TMPDIR says.

    Raises:
        OutputPathError: it cannot be made.
    """
    with ExitStack() as stack:
        with as_output_error("temporary folder" if parent is None else f"folder {str(parent)!r}"):
            temporary = temporary_path((parent or _temporary()) / "scratch")
            stack.callback(_finish, remove_folder, temporary)
            temporary.mkdir(0o700)
        yield temporary


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


def temporary_path(target: Path) -> Path:
    """A name beside a target that nobody else has."""
    return target.with_name(f".{target.name[:_NAME]}.{token()}{SUFFIX}")


def token() -> str:
    """The part of a temporary name that nobody else has."""
    return secrets.token_hex(8)


def remove_folder(folder: Path) -> None:
    """Remove a folder that was made in this run, with all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)


def _finish(remove: Callable[[Path], None], folder: Path) -> None:
    """Remove to the end, even when a signal comes in between."""
    try:
        remove(folder)
    except BaseException:
        remove(folder)
        raise


def _temporary() -> Path:
    """Where `tempfile` would write, found without its trial file: a process that is killed would leave that behind."""
    named = [os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)]
    for folder in (*named, "/tmp", "/var/tmp", "."):
        if os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):  # noqa: PTH112
            return Path(folder).resolve()
    raise OutputPathError("temporary folder", "is nowhere", fix="set TMPDIR to a folder that is yours and has space")


# ---- two folders change places --------------------------------------------------------------------------------------

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_CANNOT = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})


@cache
def _renameat2() -> ctypes._NamedFuncPointer | None:
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def _exchange(new: Path, target: Path) -> None:
    """Exchange two folders in one step; in two on a file system that cannot: for a moment nothing is in place."""
    function = _renameat2()
    if function is not None:
        if not function(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE):
            return
        if ctypes.get_errno() not in _CANNOT:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))
    old = temporary_path(target)
    target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        if not os.path.lexists(target):
            old.rename(target)
        raise
    old.rename(new)
