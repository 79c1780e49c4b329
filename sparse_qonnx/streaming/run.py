"""`sparse-qonnx run`: one tensor of all events, in a `.npy` file."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

import sparse_qonnx
from sparse_qonnx.datasets.events import Events, files_of
from sparse_qonnx.datasets.files import read_npy_header
from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.runtime import InferenceSession, affordable_batch, with_outputs
from sparse_qonnx.streaming.resume import Resumable
from sparse_qonnx.streaming.spans import Runner, cut, run_here, span_size

Array = NDArray[Any]
Progress = Callable[[int, int], None]

_HEADER_BYTES = 1 << 12
"""More than the header of a `.npy` file of numbers."""


@dataclass(frozen=True)
class RunJob:
    """Running a model: what to run, and over what.

    Attributes:
        model: the file, with the tensor as an output.
        tensor: which one to return.
        kernels: `native` or `function`.
        batch: events in a call of onnxruntime.
        events: all of them.
    """

    model: bytes
    tensor: str
    kernels: str
    batch: int
    events: Events

    def __call__(self, start: int, stop: int) -> Array:
        """The tensor for these events."""
        session = _session(self.model, self.kernels)
        inputs = self.events.read(start, stop)
        parts = []
        for first, last in cut(0, stop - start, self.batch):
            (part,) = session.run([self.tensor], {name: array[first:last] for name, array in inputs.items()})
            if part.ndim == 0 or len(part) != last - first:
                problem = f"has shape {list(part.shape)} for {last - first} events"
                raise ConfigurationError(f"tensor {self.tensor!r}", problem, allowed="a tensor with an entry an event")
            parts.append(part)
        return np.concatenate(parts)


@lru_cache(maxsize=1)
def _session(model: bytes, kernels: str) -> InferenceSession:
    return InferenceSession(model, kernels=kernels)


def run_to_file(
    model: ModelProto,
    events: Events,
    output: Path,
    *,
    tensor: str | None = None,
    kernels: str = "native",
    batch: int = 256,
    restart: bool = False,
    runner: Runner = run_here,
    progress: Progress | None = None,
) -> tuple[str, tuple[int, ...], np.dtype[Any]]:
    """Run all events and write one tensor of them, going on where an interrupted run stopped.

    Args:
        model: the model.
        events: what to run it over.
        output: `.npy` file; `Resumable` says what lies beside it meanwhile.
        tensor: which one, the first output by default.
        kernels: see `InferenceSession`.
        batch: events in a call of onnxruntime.
        restart: begin again whatever an earlier run left.
        runner: where the spans are run.
        progress: called with the events done and the events in all.

    Returns:
        Name, shape `[B, ...]` and type of what was written.

    Raises:
        ModelFileError: for an unknown tensor, or a model that onnxruntime rejects.
        ConfigurationError: if an earlier run with the same output was of something else; for a tensor without events.
        OutputPathError: if it cannot be written.
        InputDataError: if an input file is damaged or changed meanwhile.
    """
    name = tensor or model.graph.output[0].name
    batch = affordable_batch(model, batch)
    job = RunJob(with_outputs(model, [name]).SerializeToString(), name, kernels, batch, events)
    key, total = work_key(model, events, tensor=name, kernels=kernels, batch=batch), len(events)
    with Resumable(output, key, restart, [file.path for file in files_of(events)]) as file:
        start, shape, dtype = _position(file, total)
        spans = cut(start, total, span_size(model, batch))
        for (_, stop), values in zip(spans, runner(job, spans), strict=True):
            if not shape:
                shape, dtype = (total, *values.shape[1:]), values.dtype
                file.append(_header(shape, dtype))
            file.append(np.ascontiguousarray(values).tobytes())
            file.done({"events": stop})
            if progress is not None:
                progress(stop, total)
        file.complete()
    return name, shape, dtype


def work_key(model: ModelProto, events: Events, **options: Any) -> dict[str, Any]:
    """What bytes depend on: the model, the inputs by size and time of change, the versions, the options."""
    return {
        "sparse_qonnx version": sparse_qonnx.__version__,
        "onnxruntime version": onnxruntime.__version__,
        "model": hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest(),
        **options,
        "input": events.describe(),
    }


def _header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    stream = io.BytesIO()
    fields = {"shape": shape, "fortran_order": False, "descr": np.lib.format.dtype_to_descr(dtype)}
    np.lib.format.write_array_header_1_0(stream, fields)
    return stream.getvalue()


def _position(file: Resumable, total: int) -> tuple[int, tuple[int, ...], np.dtype[Any]]:
    """Events done, and shape and type of the array; the work begins again unless header, count and size agree."""
    if file.progress:
        events: Any = file.progress.get("events")
        with suppress(ValueError):
            stream = io.BytesIO(file.read(_HEADER_BYTES))
            shape, fortran, dtype = read_npy_header(stream)
            row = math.prod(shape[1:]) * dtype.itemsize
            is_counted = isinstance(events, int) and 0 < events <= total and shape[:1] == (total,) and not fortran
            if is_counted and stream.tell() + events * row == file.size:
                return events, shape, dtype
        file.begin_again("what an interrupted run left is no array with as many events as it counted")
    return 0, (), np.dtype(np.float32)
