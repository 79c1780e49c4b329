"""`sparse-qonnx run`: tensors of all events, in a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

import sparse_qonnx
from sparse_qonnx.datasets.events import Events, files_of
from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.files import read_model
from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.offgrid import OffGrid
from sparse_qonnx.passes.infer_grids import input_types
from sparse_qonnx.records import from_record
from sparse_qonnx.runtime import InferenceSession, affordable_batch, with_outputs
from sparse_qonnx.streaming.formats import Format, Written, format_of, record_type, records
from sparse_qonnx.streaming.resume import Resumable
from sparse_qonnx.streaming.spans import Runner, cut, run_here, span_size

Array = NDArray[Any]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RunJob:
    """Running a model: what to run, and over what.

    Attributes:
        model: the file, with the tensors as outputs.
        tensors: which ones to return.
        kernels: `native` or `function`.
        batch: events in a call of onnxruntime.
        events: all of them.
    """

    model: bytes
    tensors: tuple[str, ...]
    kernels: str
    batch: int
    events: Events

    def __call__(self, start: int, stop: int) -> tuple[list[Array], OffGrid]:
        """The tensors for these events, and how many of their values the input type does not hold."""
        session, types = _session(self.model, self.kernels)
        inputs = self.events.read(start, stop)
        parts, off_grid = [], OffGrid()
        for first, last in cut(0, stop - start, self.batch):
            batch = {name: array[first:last] for name, array in inputs.items()}
            parts.append(session.run(self.tensors, batch))
            for name, part in zip(self.tensors, parts[-1], strict=True):
                _check_result(name, part, last - first)
            off_grid += sum((OffGrid.count(values, types.get(name)) for name, values in batch.items()), OffGrid())
        return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)], off_grid


def _check_result(name: str, values: Any, events: int) -> None:
    where = f"tensor {name!r}"
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
        raise ConfigurationError(where, "holds no numbers", fix="choose others with --tensor")
    if values.ndim == 0 or len(values) != events:
        problem = f"has shape {list(values.shape)} for {events} events"
        allowed, fix = "a tensor with an entry an event", "choose others with --tensor"
        raise ConfigurationError(where, problem, allowed=allowed, fix=fix)


@lru_cache(maxsize=1)
def _session(model: bytes, kernels: str) -> tuple[InferenceSession, dict[str, FixedPointType]]:
    proto = read_model(model)
    return InferenceSession(proto, kernels=kernels), input_types(proto)


@dataclass(frozen=True)
class Result:
    """What a run wrote.

    Attributes:
        arrays: in the file.
        inputs: values that were read, and how many of them the stated input type does not hold; they were run as they
            are.
    """

    arrays: tuple[Written, ...]
    inputs: OffGrid


def run_to_file(
    model: ModelProto,
    events: Events,
    output: Path,
    *,
    tensors: Sequence[str] | None = None,
    kernels: str = "native",
    batch: int = 256,
    restart: bool = False,
    runner: Runner = run_here,
    progress: Progress | None = None,
) -> Result:
    """Run all events and write tensors of them, going on where an interrupted run stopped.

    Args:
        model: the model.
        events: what to run it over.
        output: `.npy`, `.npz` or HDF5 file, see `formats`; `Resumable` says what lies beside it meanwhile.
        tensors: which ones, every output by default.
        kernels: see `InferenceSession`.
        batch: events in a call of onnxruntime.
        restart: begin again whatever an earlier run left.
        runner: where the spans are run.
        progress: called with the events done and the events in all.

    Raises:
        ModelFileError: for an unknown tensor, or a model that onnxruntime rejects.
        ConfigurationError: if an earlier run with the same output was of something else; for a tensor without events;
            for several tensors in a format that holds one.
        OutputPathError: if it cannot be written, or the ending of its name is that of no format.
        InputDataError: if an input file is damaged or changed meanwhile.
        ToolError: for HDF5 without h5py.
    """
    names = tuple(dict.fromkeys(tensors or (value.name for value in model.graph.output)))
    form = format_of(output, names)
    batch = affordable_batch(model, batch)
    job = RunJob(with_outputs(model, names).SerializeToString(), names, kernels, batch, events)
    key, total = work_key(model, events, tensor=list(names), kernels=kernels, batch=batch), len(events)
    with Resumable(output, key, restart, [file.path for file in files_of(events)]) as file:
        start, arrays, off_grid = _position(file, names, total, form)
        spans = cut(start, total, span_size(model, batch))
        for (_, stop), (values, found) in zip(spans, runner(job, spans), strict=True):
            given = [Written(n, (total, *v.shape[1:]), v.dtype) for n, v in zip(names, values, strict=True)]
            if not arrays:
                arrays = given
                file.append(form.header(arrays))
            elif arrays != given:
                problem, fix = (
                    "an interrupted run left arrays of another shape or type",
                    "give --restart to begin again",
                )
                raise ConfigurationError(f"output {str(output)!r}", problem, fix=fix)
            off_grid += found
            file.append(records(values))
            kinds = [[array.dtype.str, list(array.shape[1:])] for array in arrays]
            file.done({"events": stop, "arrays": kinds, "off_grid": asdict(off_grid)})
            if progress is not None:
                progress(stop, total)
        write = form.write
        if write is None:
            file.complete()
        else:
            file.complete_as(lambda part, stream: write(part, arrays, stream))
    return Result(tuple(arrays), off_grid)


def work_key(model: ModelProto, events: Events, **options: Any) -> dict[str, Any]:
    """What bytes depend on: the model, the inputs by size and time of change, the versions, the options."""
    return {
        "sparse_qonnx version": sparse_qonnx.__version__,
        "onnxruntime version": onnxruntime.__version__,
        "model": hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest(),
        **options,
        "input": events.describe(),
    }


def _position(file: Resumable, names: Sequence[str], total: int, form: Format) -> tuple[int, list[Written], OffGrid]:
    """Events done, the arrays, and what was counted; the work begins again unless header, count and size agree."""
    if file.progress:
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            done, arrays = file.progress["events"], _arrays(file.progress["arrays"], names, total)
            header, off_grid = form.header(arrays), from_record(OffGrid, file.progress["off_grid"])
            size = len(header) + done * record_type(arrays).itemsize if isinstance(done, int) else -1
            if size == file.size and 0 < done <= total and file.read(len(header)) == header:
                return done, arrays, off_grid
        file.begin_again("what an interrupted run left is no array with as many events as it counted")
    return 0, [], OffGrid()


def _arrays(kinds: Any, names: Sequence[str], total: int) -> list[Written]:
    """The arrays that a state describes.

    Raises:
        KeyError, TypeError, ValueError: it describes none.
    """
    arrays = []
    for name, (kind, shape) in zip(names, kinds, strict=True):
        if not re.fullmatch(r"[<>|][fiub]\d", kind) or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError("no array of numbers")
        arrays.append(Written(name, (total, *shape), np.dtype(kind)))
    return arrays
