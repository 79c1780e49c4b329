"""External data: read from files in the model's own folder, and from nowhere else."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath, PureWindowsPath

from onnx import ModelProto, TensorProto

from sparse_qonnx.checks.constants import all_tensors, check_size
from sparse_qonnx.errors import ModelFileError
from sparse_qonnx.limits import Limits


def inline_external_data(model: ModelProto, folder: Path, where: str, limits: Limits) -> None:
    """Read the data of all constants that lie in other files into the model, which is changed.

    Raises:
        ModelFileError: a file outside the folder, one that cannot be read, or more or less data than is stated.
    """
    total = 0
    for tensor in all_tensors(model, model.functions):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        name = f"constant {tensor.name!r} of {where}"
        size = check_size(tensor, name, limits)
        total += size
        limits.check("file_bytes", total, where)
        tensor.raw_data = _read(tensor, folder, name, size)
        tensor.ClearField("data_location")
        del tensor.external_data[:]


def external_locations(model: ModelProto) -> set[str]:
    """Where constants lie that are in other files, relative to the model's folder."""
    external = (t for t in all_tensors(model, model.functions) if t.data_location == TensorProto.EXTERNAL)
    return {entry.value for tensor in external for entry in tensor.external_data if entry.key == "location"}


def _read(tensor: TensorProto, folder: Path, where: str, size: int) -> bytes:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    path = _inside(folder, entries.get("location", ""), where)
    offset, length = _number(entries, "offset", 0, where), _number(entries, "length", size, where)
    if length != size:
        raise ModelFileError(where, f"is stated to hold {length:,} bytes", allowed=f"{size:,}, as its dimensions say")
    try:
        # A pipe must not be waited for, and what was a file when it was looked at may be a link now.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as stream:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ModelFileError(where, f"is in {path.name!r}, which is no regular file")
            stream.seek(offset)
            data = stream.read(min(size, status.st_size))  # so much memory is asked for, whatever the file holds
    except OSError as error:
        problem = f"is in {path.name!r}, which cannot be read: {error.strerror}"
        raise ModelFileError(where, problem, fix="put the file beside the model") from error
    if len(data) != size:
        raise ModelFileError(where, f"needs {size:,} bytes from {offset:,} on, {path.name!r} is shorter")
    return data


def _inside(folder: Path, location: str | bytes, where: str) -> Path:
    """The file at a location, which must lie in the folder with all links resolved."""
    allowed = "a relative path to a file in the model's own folder"
    if not isinstance(location, str):  # so protobuf gives what is no UTF-8
        raise ModelFileError(where, f"is in the file {location!r}", allowed="a name in UTF-8")
    parts = PureWindowsPath(location).parts  # both kinds of separators, drives included
    if not parts or "\0" in location or ".." in parts or PurePosixPath(location).is_absolute():
        raise ModelFileError(where, f"is in the file {location!r}", allowed=allowed)
    if PureWindowsPath(location).drive or PureWindowsPath(location).root:
        raise ModelFileError(where, f"is in the file {location!r}", allowed=allowed)
    try:
        root = folder.resolve(strict=True)
        path = (root / location).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        problem = f"is in the file {location!r}, which cannot be found"
        raise ModelFileError(where, problem, fix="put the file beside the model") from error
    if not path.is_relative_to(root):
        raise ModelFileError(where, f"is in the file {location!r}, a link to outside", allowed=allowed)
    return path


def _number(entries: dict[str, str], key: str, default: int, where: str) -> int:
    text = entries.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise ModelFileError(where, f"has the external {key} {text!r}", allowed="a whole number")
    return int(text)
