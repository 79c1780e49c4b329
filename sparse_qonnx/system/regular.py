"""Reading files that may be anything: only regular files are opened, and no more is read than is allowed."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

_PIECE = 1 << 20
"""Bytes that are read at a time: reading asks for memory for as much as is to be read, not as there is."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def kind_of(mode: int) -> str:
    """What a file is that is not a regular one, from its mode; "" for a regular file."""
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "no file")


def check_regular(path: str | os.PathLike[str]) -> os.stat_result:
    """The status of a regular file, links resolved.

    Raises:
        OSError: it is missing, or a folder, pipe, device or socket.
    """
    return _regular(os.stat(path), path)  # noqa: PTH116  # a null character is a ValueError in both


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """A regular file, open for reading; opening a pipe or a device neither waits nor acts on it.

    Raises:
        OSError: it is missing, cannot be read, or is a folder, pipe, device or socket.
    """
    check_regular(path)  # opening may act on a device already
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _regular(os.fstat(descriptor), path)
        return open(descriptor, "rb")  # noqa: PTH123
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | os.PathLike[str], most: int) -> bytes:
    """The content of a regular file, at most one byte more than `most`: whoever asked sees that it is too long.

    Raises:
        OSError: as `open_regular`.
    """
    pieces, left = [], most + 1
    with open_regular(path) as stream:
        while left > 0 and (piece := stream.read(min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
    return b"".join(pieces)


def reason(error: Exception) -> str:
    """Why a file cannot be read or written, without its path; a path with a null character is a ValueError."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _regular(status: os.stat_result, path: str | os.PathLike[str]) -> os.stat_result:
    kind = kind_of(status.st_mode)
    if kind:
        number = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
        said = os.strerror(number) if stat.S_ISDIR(status.st_mode) else f"it is {kind}, not a regular file"
        raise OSError(number, said, str(Path(path)))
    return status
