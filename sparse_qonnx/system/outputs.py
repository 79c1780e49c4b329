"""What an output may be: one rule for every command and function, applied before any work."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sparse_qonnx.errors import OutputPathError
from sparse_qonnx.system.regular import kind_of, reason


def output_file(path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """The regular file that a path means, through links; it exists and may be replaced, or can be made.

    Args:
        path: where somebody wants a file. A link to a file, or to a place for one, is written through.
        inputs: files that are read; none of them may be the output.

    Returns:
        The file itself, no link.

    Raises:
        OutputPathError: the path is a folder, pipe, device, socket or an input; the file may not be written, or its
            folder does not exist or may not be written.
    """
    where = f"output {str(path)!r}"
    target, status = _resolved(path, where)
    if status is not None:
        kind = kind_of(status.st_mode)
        if kind:
            raise OutputPathError(where, f"is {kind}", allowed="a file name")
        if not os.access(target, os.W_OK):
            raise OutputPathError(where, "may not be written: it is read-only", fix="choose another name")
        for source in inputs:
            with suppress(OSError, ValueError):  # whoever reads it says what is wrong with it
                if os.path.samestat(Path(source).stat(), status):
                    raise OutputPathError(where, f"is the input {str(source)!r}", fix="choose another name")
    _check_parent(target, where)
    return target


def output_folder(path: str | os.PathLike[str]) -> Path:
    """The folder that a path means, through links; it exists, or can be made where a folder exists already.

    Raises:
        OutputPathError: it is a file, or cannot be made.
    """
    where = f"output folder {str(path)!r}"
    target, status = _resolved(path, where)
    if status is not None and not stat.S_ISDIR(status.st_mode):
        raise OutputPathError(where, f"is {kind_of(status.st_mode) or 'a file'}", allowed="a new or empty folder")
    parent = target.parent
    while status is None and not parent.exists():  # those between are made
        parent = parent.parent
    _check_parent(parent / target.name, where)
    return target


def _resolved(path: str | os.PathLike[str], where: str) -> tuple[Path, os.stat_result | None]:
    """What a path means, and its status, None where there is nothing yet."""
    if not os.fspath(path):
        raise OutputPathError(where, "is empty", allowed="a file name")
    try:
        target = Path(os.path.realpath(path))
        try:
            return target, target.stat()
        except FileNotFoundError:
            return target, None
    except (OSError, ValueError) as error:  # a null character, a name too long, links in a circle
        raise OutputPathError(where, f"cannot be written: {reason(error)}", fix="choose another name") from error


def _check_parent(target: Path, where: str) -> None:
    parent = target.parent
    if not parent.is_dir():
        problem = "is a file" if parent.exists() else "does not exist"
        raise OutputPathError(where, f"the folder {str(parent)!r} {problem}", fix="create it")
    if not os.access(parent, os.W_OK | os.X_OK):
        problem = f"the folder {str(parent)!r} may not be written: Permission denied"
        raise OutputPathError(where, problem, fix="choose a folder that is yours")
