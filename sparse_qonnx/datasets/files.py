"""One array in one file, described without being read: `.npy`, a member of an `.npz`, a dataset of an HDF5 file.

What a file is, its first bytes say. A description is small and can be sent to another process or machine, where the
same path leads to the same file; what is open stays in its process.
"""

from __future__ import annotations

import math
import os
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.errors import InputDataError, ToolError

Array = NDArray[Any]

_OPEN_FILES = 8
"""Readers that a process keeps."""


_DAMAGED = (OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What NumPy, zipfile and h5py raise for files that are not what they should be (h5py also RuntimeError)."""


class Reader(Protocol):
    """Gives slices of an array along its first axis."""

    def read(self, start: int, stop: int) -> Array:
        """Events `start` to `stop`, in memory or mapped."""


@dataclass(frozen=True)
class ArrayFile:
    """An array in a file.

    Attributes:
        path: absolute path.
        key: name of the array in a file that may hold several, "" in `.npy`.
        shape: of the array; the first axis counts events.
        dtype: NumPy's name of the type, with its byte order.
        size: of the file, in bytes.
        mtime_ns: when the file was last changed, as the file system has it.
    """

    path: str
    key: str
    shape: tuple[int, ...]
    dtype: str
    size: int
    mtime_ns: int

    @property
    def where(self) -> str:
        """How messages name it."""
        return f"input file {self.path!r}" + (f", array {self.key!r}" if self.key else "")

    @property
    def changed(self) -> bool:
        """Whether the file is no longer the one that was described."""
        try:
            status = Path(self.path).stat()
        except OSError:
            return True
        return (status.st_size, status.st_mtime_ns) != (self.size, self.mtime_ns)

    def read(self, start: int, stop: int) -> Array:
        """Events `start` to `stop` `[stop - start, ...]`, in memory, or mapped until they are copied.

        Raises:
            InputDataError: if the file is gone, was changed or is damaged.
        """
        if self.changed:
            raise InputDataError(self.where, "was changed while it was read", fix="run again when nobody writes to it")
        try:
            found = _reader(self).read(start, stop)
        except _DAMAGED as error:
            raise InputDataError(self.where, f"cannot be read: {error}", fix="write the file again") from error
        if len(found) != stop - start:
            raise InputDataError(self.where, "ends before its header says", fix="write the file again")
        return found


def open_array(path: str, key: str = "") -> ArrayFile:
    """Describe an array in a file.

    Args:
        path: of the file.
        key: which array; may be left out where the file holds one.

    Raises:
        InputDataError: if the file is missing, of another format, damaged, or has no such array.
        ToolError: for HDF5 without h5py.
    """
    where = f"input file {path!r}"
    try:
        status = Path(path).stat()
        found = _format(path)
    except OSError as error:
        raise InputDataError(where, f"cannot be read: {error.strerror or error}", fix="check the path") from error
    if found is None:
        raise _no_array(where)
    try:
        name, shape, dtype = found.describe(path, key)
    except _DAMAGED as error:
        raise _no_array(where) from error
    if dtype.hasobject or dtype.names:
        raise _no_array(where)
    if not shape:
        raise InputDataError(where, "holds a single number", allowed="events [B, ...]")
    return ArrayFile(str(Path(path).resolve()), name, tuple(shape), dtype.str, status.st_size, status.st_mtime_ns)


def _no_array(where: str) -> InputDataError:
    fix = "write it with numpy.save(path, x.astype(numpy.float32))"
    return InputDataError(where, "is not a .npy file of numbers, nor .npz nor HDF5", fix=fix)


def _choose(path: str, key: str, names: Sequence[str]) -> str:
    """The array of that name, or the only one."""
    if key in names:
        return key
    if not key and len(names) == 1:
        return names[0]
    where, allowed = f"input file {path!r}", f"{', '.join(f'{path}:{name}' for name in names[:20])}"
    if not names:
        raise InputDataError(where, "holds no arrays")
    problem = f"has no array {key!r}" if key else f"holds {len(names)} arrays"
    raise InputDataError(where, problem, allowed=allowed)


# ---- .npy -----------------------------------------------------------------------------------------------------------


def read_npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and type from the start of a `.npy` file.

    Raises:
        ValueError: if it is none, or of a version for which there is no need with numbers.
    """
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"version {version} of .npy")


def _describe_npy(path: str, key: str) -> tuple[str, tuple[int, ...], np.dtype[Any]]:
    if key:
        raise InputDataError(f"input file {path!r}", f"has no array {key!r}", allowed="one array, without a name")
    with Path(path).open("rb") as stream:
        shape, _, dtype = read_npy_header(stream)
        _check_length(path, stream.tell(), shape, dtype, os.fstat(stream.fileno()).st_size)
    return "", shape, dtype


def _check_length(path: str, offset: int, shape: Sequence[int], dtype: np.dtype[Any], size: int) -> None:
    """A header may promise more than there is: of a copy that was cut off, or written to harm."""
    needed = offset + math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or needed > size:
        problem = f"has {size:,} bytes, its header says {needed:,} for {list(shape)} {dtype}"
        raise InputDataError(f"input file {path!r}", problem, fix="copy it again")


class _Mapped:
    """Values that lie in a file as they do in memory; only a slice is ever mapped, so that memory is not counted up."""

    def __init__(self, path: str, offset: int, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[Any]) -> None:
        self._path, self._offset, self._shape, self._fortran, self._dtype = path, offset, shape, fortran, dtype

    def read(self, start: int, stop: int) -> Array:
        if stop == start or 0 in self._shape:
            return np.zeros((stop - start, *self._shape[1:]), self._dtype)
        if self._fortran:
            whole = np.memmap(self._path, self._dtype, "r", self._offset, self._shape, "F")
            return whole[start:stop]
        row = math.prod(self._shape[1:]) * self._dtype.itemsize
        shape = (stop - start, *self._shape[1:])
        return np.memmap(self._path, self._dtype, "r", self._offset + start * row, shape)


def _read_npy(file: ArrayFile) -> Reader:
    with Path(file.path).open("rb") as stream:
        shape, fortran, dtype = read_npy_header(stream)
        return _Mapped(file.path, stream.tell(), shape, fortran, dtype)


# ---- .npz -----------------------------------------------------------------------------------------------------------

_LOCAL_HEADER = struct.Struct("<26x2H")
"""Of a member of a zip file: lengths of its name and of the extra field, behind both of which the data begins."""


def _describe_npz(path: str, key: str) -> tuple[str, tuple[int, ...], np.dtype[Any]]:
    with zipfile.ZipFile(path) as archive:
        members = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        chosen = _choose(path, key, members)
        info = archive.getinfo(f"{chosen}.npy")
        with archive.open(info) as stream:
            shape, fortran, dtype = read_npy_header(stream)
            _check_length(path, stream.tell(), shape, dtype, info.file_size)
    if fortran and info.compress_type != zipfile.ZIP_STORED:
        fix = "write it with numpy.savez(path, x=numpy.ascontiguousarray(x))"
        raise InputDataError(f"input file {path!r}", f"array {chosen!r} is compressed in Fortran order", fix=fix)
    return chosen, shape, dtype


class _Unpacked:
    """A compressed member, which can only be read forward: a step back begins again at its start."""

    def __init__(self, path: str, key: str) -> None:
        self._archive = zipfile.ZipFile(path)
        self._stream = self._archive.open(f"{key}.npy")
        self._shape, _, self._dtype = read_npy_header(self._stream)
        self._offset = self._stream.tell()
        self._lock = threading.Lock()

    def read(self, start: int, stop: int) -> Array:
        row = math.prod(self._shape[1:]) * self._dtype.itemsize
        with self._lock:
            self._stream.seek(self._offset + start * row)
            data = self._stream.read((stop - start) * row)
        return np.frombuffer(data, self._dtype).reshape(-1, *self._shape[1:])


def _read_npz(file: ArrayFile) -> Reader:
    with zipfile.ZipFile(file.path) as archive:
        info = archive.getinfo(f"{file.key}.npy")
        if info.compress_type != zipfile.ZIP_STORED:
            return _Unpacked(file.path, file.key)
        with archive.open(info) as stream:
            shape, fortran, dtype = read_npy_header(stream)
            header = stream.tell()
    with Path(file.path).open("rb") as whole:
        whole.seek(info.header_offset)
        name, extra = _LOCAL_HEADER.unpack(whole.read(_LOCAL_HEADER.size))
    data = info.header_offset + _LOCAL_HEADER.size + name + extra
    return _Mapped(file.path, data + header, shape, fortran, dtype)


# ---- HDF5 -----------------------------------------------------------------------------------------------------------


def import_h5py(what: str = "HDF5 input") -> Any:
    """The package h5py.

    Raises:
        ToolError: it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        fix = "pip install 'sparse-qonnx[hdf5]'"
        raise ToolError(what, "needs the package h5py, which is not installed", fix=fix) from error
    return h5py


def _describe_hdf5(path: str, key: str) -> tuple[str, tuple[int, ...], np.dtype[Any]]:
    h5py = import_h5py()
    names: list[str] = []
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        chosen = _choose(path, key.strip("/"), names)
        dataset = file[chosen]
        if dataset.shape is None:
            raise InputDataError(f"input file {path!r}", f"dataset {chosen!r} is empty", allowed="events [B, ...]")
        return chosen, dataset.shape, dataset.dtype


class _Dataset:
    def __init__(self, path: str, key: str) -> None:
        self._dataset = import_h5py().File(path, "r")[key]

    def read(self, start: int, stop: int) -> Array:
        found: Array = self._dataset[start:stop]
        return found


def _read_hdf5(file: ArrayFile) -> Reader:
    return _Dataset(file.path, file.key)


# ---- formats --------------------------------------------------------------------------------------------------------


class _Format(NamedTuple):
    describe: Callable[[str, str], tuple[str, tuple[int, ...], np.dtype[Any]]]
    """From a path and a key: the array's name, shape and type."""
    reader: Callable[[ArrayFile], Reader]


_FORMATS = {
    b"\x93NUMPY": _Format(_describe_npy, _read_npy),
    b"PK\x03\x04": _Format(_describe_npz, _read_npz),
    b"\x89HDF\r\n\x1a\n": _Format(_describe_hdf5, _read_hdf5),
}
"""By the first bytes of a file."""


def _format(path: str) -> _Format | None:
    with Path(path).open("rb") as stream:
        magic = stream.read(8)
    return next((found for start, found in _FORMATS.items() if magic.startswith(start)), None)


@lru_cache(maxsize=_OPEN_FILES)
def _reader(file: ArrayFile) -> Reader:
    found = _format(file.path)
    if found is None:
        raise ValueError("another format than before")
    return found.reader(file)
