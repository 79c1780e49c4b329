"""One array in one file, described without being read: `.npy`, a member of an `.npz`, a dataset of an HDF5 file.

What a file is, its first bytes say. A description is small and can be sent to another process or machine, where the
same path leads to the same file; what is open stays in its process.
"""

from __future__ import annotations

import ast
import lzma
import math
import os
import re
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

from sparse_qonnx.datasets.hdf5 import dataset_names, import_h5py, is_inside, open_dataset
from sparse_qonnx.errors import InputDataError
from sparse_qonnx.limits import current
from sparse_qonnx.system.regular import check_regular, open_regular, reason
from sparse_qonnx.text import shortened, shown

Array = NDArray[Any]

_NPY_MAGIC = b"\x93NUMPY"
_NPY_HEADER = 10_000
"""Bytes of a header; that of an array of numbers has a hundred."""
MOST_DIMENSIONS = 32

_OPEN_FILES = 8
"""Readers that a process keeps."""


_DAMAGED = (
    OSError,
    EOFError,
    LookupError,
    ValueError,  # UnicodeError, too
    TypeError,
    OverflowError,
    RuntimeError,  # NotImplementedError, too
    AttributeError,
    AssertionError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What NumPy, zipfile and h5py raise for files that are not what they should be."""


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
        status = check_regular(path)
        found = _format(path)
    except (OSError, ValueError) as error:
        raise InputDataError(where, f"cannot be read: {reason(error)}", fix="check the path") from error
    if found is None:
        raise _no_array(where)
    try:
        name, shape, dtype = found.describe(path, key)
    except _DAMAGED as error:
        raise _no_array(where, error) from error
    if dtype.kind not in "biufc":
        raise _no_array(where, f"it holds {dtype}")
    if not shape:
        raise InputDataError(where, "holds a single number", allowed="events [B, ...]")
    current().check("events", shape[0], where, error=InputDataError)
    return ArrayFile(str(Path(path).resolve()), name, tuple(shape), dtype.str, status.st_size, status.st_mtime_ns)


def _no_array(where: str, why: object = "") -> InputDataError:
    fix = "write it with numpy.save(path, x.astype(numpy.float32))"
    said = f": {shortened(str(why), 300)}" if why else ""
    return InputDataError(where, f"is not a .npy file of numbers, nor .npz nor HDF5{said}", fix=fix)


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
    """Shape, Fortran order and type from the start of a `.npy` file: read as data, whatever it holds.

    Raises:
        ValueError: if it is none, of a version for which there is no need with numbers, or no array of numbers.
    """
    magic = _exactly(stream, 8)
    length = {(1, 0): "<H", (2, 0): "<I"}.get((magic[6], magic[7]))
    if not magic.startswith(_NPY_MAGIC) or length is None:
        raise ValueError(f"version {magic[6]}.{magic[7]} of .npy")
    (size,) = struct.unpack(length, _exactly(stream, struct.calcsize(length)))
    if size > _NPY_HEADER:
        raise ValueError(f"a header of {size:,} bytes")
    try:
        header = ast.literal_eval(_exactly(stream, size).decode("latin1").strip())
        shape, fortran, descr = header["shape"], header["fortran_order"], header["descr"]
    except (SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise ValueError("a header that cannot be read") from error
    if not (isinstance(shape, tuple) and all(type(n) is int and 0 <= n < 2**62 for n in shape)):
        raise ValueError(f"the shape {shown(shape)}")
    if len(shape) > MOST_DIMENSIONS:
        raise ValueError(f"{len(shape)} dimensions, at most {MOST_DIMENSIONS}")
    if not isinstance(fortran, bool) or len(header) != 3:
        raise ValueError(f"the header {shown(header)}")
    if not (isinstance(descr, str) and re.fullmatch(r"[<>|=]?[biufc][0-9]{1,2}", descr)):
        raise ValueError(f"the type {shown(descr)}, no numbers")
    try:
        return shape, fortran, np.dtype(descr)
    except TypeError as error:
        raise ValueError(f"the type {descr!r}, which there is not") from error


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise ValueError("an end within the header")
    return data


def _describe_npy(path: str, key: str) -> tuple[str, tuple[int, ...], np.dtype[Any]]:
    if key:
        raise InputDataError(f"input file {path!r}", f"has no array {key!r}", allowed="one array, without a name")
    with open_regular(path) as stream:
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
    with open_regular(file.path) as stream:
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
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:  # others unpack all at once
            raise ValueError(f"array {chosen!r} is compressed by another method than deflate")
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
    with open_regular(file.path) as whole:
        whole.seek(info.header_offset)
        name, extra = _LOCAL_HEADER.unpack(_exactly(whole, _LOCAL_HEADER.size))
        data = info.header_offset + _LOCAL_HEADER.size + name + extra
        _check_length(file.path, data + header, shape, dtype, os.fstat(whole.fileno()).st_size)
    return _Mapped(file.path, data + header, shape, fortran, dtype)


# ---- HDF5 -----------------------------------------------------------------------------------------------------------


def _describe_hdf5(path: str, key: str) -> tuple[str, tuple[int, ...], np.dtype[Any]]:
    where = f"input file {path!r}"
    with import_h5py().File(path, "r") as file:
        chosen = key.strip("/")
        if not is_inside(file, chosen):
            chosen = _choose(path, chosen, list(dataset_names(file, where)))
        dataset = open_dataset(file, chosen, where)
        return chosen, dataset.shape, dataset.dtype


class _Dataset:
    def __init__(self, path: str, key: str) -> None:
        self._file = import_h5py().File(path, "r")
        self._dataset = open_dataset(self._file, key, f"input file {path!r}")

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
    with open_regular(path) as stream:
        magic = stream.read(8)
    return next((found for start, found in _FORMATS.items() if magic.startswith(start)), None)


@lru_cache(maxsize=_OPEN_FILES)
def _reader(file: ArrayFile) -> Reader:
    found = _format(file.path)
    if found is None:
        raise ValueError("another format than before")
    return found.reader(file)
