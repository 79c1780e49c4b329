"""Locks on files that are there anyway: they end with the process that holds them, and no lock file is left behind.

A lock is advisory, held by one thread of one process, and belongs to the file, not to its name. What it protects is
therefore replaced and never rewritten, and a name is looked up again once its lock is held. Where a file system has no
locks (some network file systems), work goes on without them.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparse_qonnx.errors import OutputPathError

_NO_LOCKS = frozenset({errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""What `flock` says where there are none; EBADF: a network file system locks no folder, since none can be written."""


class LocksUnsupported(Exception):  # noqa: N818 - a fact about the file system, not an error
    """The file system has no locks."""


def try_lock(descriptor: int, *, shared: bool = False, wait: bool = False) -> bool:
    """Lock an open file or folder until it is closed; False when somebody else holds it.

    Raises:
        LocksUnsupported: the file system has none.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise LocksUnsupported from error
        raise
    return True


def is_file_of(descriptor: int, path: Path) -> bool:
    """Whether the path still names what was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


@contextmanager
def locked(path: Path, where: str, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a file.

    Args:
        path: the file; one that is locked alone must be writable.
        where: what the lock protects, for the message.
        shared: together with others that share it.
        wait: for whoever holds it, instead of refusing.

    Raises:
        OutputPathError: another process holds it, or the file cannot be opened.
    """
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY if shared else os.O_RDWR)
        except OSError as error:
            raise OutputPathError(where, f"{path.name} cannot be opened: {error.strerror}") from error
        try:
            try:
                free = try_lock(descriptor, shared=shared, wait=wait)
            except LocksUnsupported:
                free = True
            if not free:
                raise OutputPathError(where, "is in use by another process", fix="wait until that has ended")
            if is_file_of(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)
