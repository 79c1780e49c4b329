"""The events of a model: for each of its inputs one array, or the arrays of many files one behind the other."""

from __future__ import annotations

import glob
import hashlib
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from sparse_qonnx.datasets.convert import as_type, check_kind
from sparse_qonnx.datasets.files import ArrayFile, open_array
from sparse_qonnx.errors import InputDataError
from sparse_qonnx.runtime import check_inputs, input_dtypes, input_shapes

Array = NDArray[Any]


@runtime_checkable
class Events(Protocol):
    """Events that can be had a slice at a time."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> dict[str, Array]:
        """Events `start` to `stop`: an array `[stop - start, ...]` for each input, by name."""

    def describe(self) -> list[list[Any]]:
        """What tells them from others, ready for JSON."""


@dataclass(frozen=True)
class InMemoryEvents:
    """Events that are there already.

    Attributes:
        arrays: `[B, ...]` by input name.
    """

    arrays: Mapping[str, Array]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def read(self, start: int, stop: int) -> dict[str, Array]:
        """Events `start` to `stop`."""
        return {name: array[start:stop] for name, array in self.arrays.items()}

    def describe(self) -> list[list[Any]]:
        """Name, shape, type and hash of each array."""
        return [
            [name, list(array.shape), array.dtype.str, hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()]
            for name, array in self.arrays.items()
        ]


@dataclass(frozen=True)
class FileSequence:
    """Arrays of several files, taken as one.

    Attributes:
        files: in their order; equal in shape but for the first axis.
        dtype: type of the model's input that they are for.
    """

    files: tuple[ArrayFile, ...]
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))

    @cached_property
    def _ends(self) -> list[int]:
        return list(itertools.accumulate(file.shape[0] for file in self.files))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all together."""
        return (self._ends[-1], *self.files[0].shape[1:])

    def read(self, start: int, stop: int) -> Array:
        """Events `start` to `stop` in the type of the input; float64 is rounded where that is float32.

        Raises:
            InputDataError: for integers that float32 does not hold, or what is none for an input of integers.
        """
        found = np.empty((stop - start, *self.shape[1:]), self.dtype)
        for file, end in zip(self.files, self._ends, strict=True):
            first = end - file.shape[0]
            if first < stop and end > start:
                begin, last = max(start, first), min(stop, end)
                values = file.read(begin - first, last - first)
                found[begin - start : last - start] = as_type(file.where, values, self.dtype)
        return found


@dataclass(frozen=True)
class FileEvents:
    """Events in files.

    Attributes:
        inputs: files by input name, equally many events for each.
    """

    inputs: Mapping[str, FileSequence]

    def __len__(self) -> int:
        return next(iter(self.inputs.values())).shape[0]

    @property
    def files(self) -> list[ArrayFile]:
        """All of them."""
        return [file for sequence in self.inputs.values() for file in sequence.files]

    def read(self, start: int, stop: int) -> dict[str, Array]:
        """Events `start` to `stop`."""
        return {name: sequence.read(start, stop) for name, sequence in self.inputs.items()}

    def describe(self) -> list[list[Any]]:
        """Name, place, shape, type, size and time of change of each file."""
        return [
            [name, file.path, file.key, list(file.shape), file.dtype, file.size, file.mtime_ns]
            for name, sequence in self.inputs.items()
            for file in sequence.files
        ]


def files_of(events: Events) -> list[ArrayFile]:
    """The files that events are read from; none for those in memory."""
    return events.files if isinstance(events, FileEvents) else []


def open_events(model: ModelProto, arguments: Sequence[str]) -> FileEvents:
    """The events for a model, nothing of them read yet.

    Args:
        model: the model.
        arguments: each `[NAME=]PATH[:KEY]`: NAME of the input where there are several, PATH of a `.npy`, `.npz` or HDF5
            file or a pattern such as `run*/*.npy` (in alphabetical order), KEY of the array in a file that holds
            several. Several arguments for one input follow one another. Integers and float16 become float32 batch by
            batch, float64 is rounded to it.

    Raises:
        InputDataError: for unreadable files, unknown or missing names, wrong shapes or types.
        ToolError: for HDF5 without h5py.
    """
    shapes = input_shapes(model)
    given: dict[str, list[ArrayFile]] = {}
    for argument in arguments:
        name, separator, place = argument.partition("=")
        if not separator or name not in shapes:
            if len(shapes) != 1:
                names = ", ".join(f"{n}=X.npy" for n in shapes)
                raise InputDataError(f"--input {argument!r}", "does not say which input it is", allowed=names)
            name, place = next(iter(shapes)), argument
        given.setdefault(name, []).extend(_open(place))
    for name, files in given.items():
        _check_alike(name, files)
    dtypes = input_dtypes(model)
    inputs = {name: FileSequence(tuple(files), dtypes[name]) for name, files in given.items()}
    stand_ins = {name: _stand_in(sequence) for name, sequence in inputs.items()}
    check_inputs({name: ("tensor(float)", shape) for name, shape in shapes.items()}, stand_ins)
    check_lengths("input", stand_ins)
    return FileEvents(inputs)


def check_lengths(where: str, arrays: Mapping[str, Array]) -> None:
    """Raise InputDataError unless all have the same number of events, at least one."""
    lengths = sorted({len(array) for array in arrays.values()})
    if len(lengths) != 1 or lengths == [0]:
        raise InputDataError(where, f"has {lengths} events", allowed="the same number for every input, at least 1")


def _exists(path: str) -> bool:
    return os.path.exists(path)  # noqa: PTH110  # Path.exists raises for names that are too long


def _open(place: str) -> list[ArrayFile]:
    """The arrays of `PATH`, `PATH:KEY`, or of every file that a pattern fits."""
    path, key = place, ""
    if not _exists(place) and ":" in place:
        path, _, key = place.rpartition(":")
    if _exists(path) or not glob.has_magic(path):
        return [open_array(path, key)]
    names = glob.iglob(path, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute patterns
    found = sorted(name for name in names if Path(name).is_file())
    if not found:
        raise InputDataError(f"--input {place!r}", "fits no file", fix="check the pattern")
    return [open_array(name, key) for name in found]


def _check_alike(name: str, files: Sequence[ArrayFile]) -> None:
    first = files[0]
    for file in files[1:]:
        if file.shape[1:] != first.shape[1:]:
            problem = f"has shape {list(file.shape)}, unlike {first.path!r}"
            raise InputDataError(f"input {name!r}: {file.where}", problem, allowed=f"[B, {str(first.shape[1:])[1:-1]}]")
    for file in files:
        check_kind(f"input {name!r}: {file.where}", np.dtype(file.dtype))


def _stand_in(sequence: FileSequence) -> NDArray[np.float32]:
    """An array of that shape that takes no memory."""
    return np.broadcast_to(np.float32(0), sequence.shape)
