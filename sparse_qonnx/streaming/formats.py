"""What `sparse-qonnx run` writes: `.npy` for one array, `.npz` and HDF5 for any number.

While a run goes on, its part holds records, one an event, each with the bytes of every array one behind the other. That
of a `.npy` file is the file itself, behind its header; the other formats are made of it in the end.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.datasets.hdf5 import import_h5py
from sparse_qonnx.errors import ConfigurationError, OutputPathError

Array = NDArray[Any]

_PIECE = 1 << 24
"""Bytes of records that are in memory at a time."""


@dataclass(frozen=True)
class Written:
    """An array of an output file.

    Attributes:
        name: of the tensor.
        shape: `(B, ...)`, all events together.
        dtype: of its values.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.name} {list(self.shape)} {self.dtype}"


def record_type(arrays: Sequence[Written]) -> np.dtype[Any]:
    """One event of all arrays; fields are numbered, since names of tensors may be anything."""
    return np.dtype([(f"f{n}", array.dtype, array.shape[1:]) for n, array in enumerate(arrays)])


def records(arrays: Sequence[Array]) -> bytes:
    """Some events of all arrays, as the part holds them."""
    if len(arrays) == 1:
        return np.ascontiguousarray(arrays[0]).tobytes()
    kind = record_type([Written("", array.shape, array.dtype) for array in arrays])
    found = np.empty(len(arrays[0]), kind)
    for n, array in enumerate(arrays):
        found[f"f{n}"] = array
    return found.tobytes()


# ---- formats --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Format:
    """A format of output files.

    Attributes:
        header: what a part begins with.
        check: refuses names that a file cannot have, before the work.
        write: makes the file of a part; None where the part is the file.
    """

    header: Callable[[Sequence[Written]], bytes]
    check: Callable[[str, Sequence[str]], None]
    write: Callable[[Path, Sequence[Written], IO[bytes]], None] | None = None


def format_of(output: Path, names: Sequence[str]) -> Format:
    """The format that a file name asks for, if it can hold these tensors.

    Raises:
        OutputPathError: an ending that is not known.
        ConfigurationError: more tensors than the format has place for, or names that it cannot have.
        ToolError: for HDF5 without h5py.
    """
    found = _FORMATS.get(output.suffix.lower())
    where = f"output {str(output)!r}"
    if found is None:
        problem = f"ends in {output.suffix!r}, which no format has that is written here"
        raise OutputPathError(where, problem, allowed=".npy for one tensor, .npz or .h5 for any number")
    found.check(where, names)
    return found


def header_of_npy(array: Written) -> bytes:
    """The first bytes of a `.npy` file."""
    stream = io.BytesIO()
    fields = {"shape": array.shape, "fortran_order": False, "descr": np.lib.format.dtype_to_descr(array.dtype)}
    np.lib.format.write_array_header_1_0(stream, fields)
    return stream.getvalue()


def _one(where: str, names: Sequence[str]) -> None:
    if len(names) != 1:
        problem = f"is to hold {len(names)} tensors: {', '.join(names)}"
        allowed = "one in a .npy file; .npz and .h5 hold any number"
        raise ConfigurationError(where, problem, allowed=allowed, fix="end it in .npz, or choose one with --tensor")


def _any(where: str, names: Sequence[str]) -> None:
    """Every name may be that of a member."""


def _hdf5(where: str, names: Sequence[str]) -> None:
    """A name with slashes makes groups: none of them may be a dataset, and none may be `.`."""
    import_h5py("HDF5 output")
    places = [PurePosixPath("/", name) for name in names]
    for name, place in zip(names, places, strict=True):
        plain = place.name and not {".", ".."} & set(name.split("/")) and str(place) == f"/{name}"
        if not plain or any(other in place.parents for other in places) or "\0" in name:
            raise ConfigurationError(where, f"cannot hold a tensor named {name!r}", fix="end it in .npz")


def _pieces(part: Path, arrays: Sequence[Written]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Records of a part, and where they begin."""
    kind, total = record_type(arrays), arrays[0].shape[0]
    step = max(1, _PIECE // max(kind.itemsize, 1))
    with part.open("rb") as stream:
        for start in range(0, total, step):
            count = min(step, total - start)
            yield start, np.frombuffer(stream.read(count * kind.itemsize), kind, count)


def _write_npz(part: Path, arrays: Sequence[Written], stream: IO[bytes]) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for n, array in enumerate(arrays):
            name = zipfile.ZipInfo(f"{array.name}.npy")  # without the time: the same run gives the same bytes
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(header_of_npy(array))
                for _, piece in _pieces(part, arrays):
                    member.write(np.ascontiguousarray(piece[f"f{n}"]).tobytes())


def _write_hdf5(part: Path, arrays: Sequence[Written], stream: IO[bytes]) -> None:
    with import_h5py("HDF5 output").File(stream, "w") as file:
        datasets = [file.create_dataset(array.name, array.shape, array.dtype) for array in arrays]
        for start, piece in _pieces(part, arrays):
            for n, dataset in enumerate(datasets):
                dataset[start : start + len(piece)] = piece[f"f{n}"]


_NPY = Format(lambda arrays: header_of_npy(arrays[0]), _one)
_HDF5 = Format(lambda _: b"", _hdf5, _write_hdf5)
_FORMATS = {"": _NPY, ".npy": _NPY, ".npz": Format(lambda _: b"", _any, _write_npz), ".h5": _HDF5, ".hdf5": _HDF5}
"""By the ending of the file's name; one without an ending is a `.npy` file."""
