"""The cross-checks: one file, every implementation of it, the same events, compared value for value."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from sparse_qonnx._paths import find_library, why_no_library
from sparse_qonnx.comparison import Comparison, ComparisonTable, Report
from sparse_qonnx.datasets.events import Events, InMemoryEvents, check_lengths
from sparse_qonnx.errors import InputDataError, ModelFileError
from sparse_qonnx.files import read_model
from sparse_qonnx.graph import all_values, tensor_shape
from sparse_qonnx.passes.infer_grids import Proof, infer_grids, input_types
from sparse_qonnx.reference import run_reference
from sparse_qonnx.runtime import InferenceSession, affordable_batch, check_inputs, input_shapes, run_qonnx, with_outputs

Array = NDArray[Any]
Tensors = dict[str, Array]

REFERENCE = "onnxruntime"
BATCH = 128

FLOAT_TOLERANCE = 5e-6
"""Softmax and sigmoid are float32 in each runtime with its own exponential: a few units in the last place of 1."""
QUOTIENT_TOLERANCE = 2.0**-20
"""Relative, for sums of quotients with no quantizer between: each term is rounded to float once."""


@dataclass(frozen=True)
class Backend:
    """An implementation: which tensors it gives for a batch of inputs, with which stated errors."""

    name: str
    tensors: Sequence[str]
    run: Callable[[Tensors], Mapping[str, Array]]
    tolerances: Mapping[str, float]


def verify(
    keras_model: Any | None,
    model: str | os.PathLike[str] | ModelProto,
    project: Any | None,
    x: Array | Mapping[str, Array] | Events,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Run the same events through every implementation of a model and compare every tensor with stock onnxruntime.

    Compared are the NumPy reference, the native kernels where they were built, qonnx's node-by-node execution and,
    where given, the Keras model (as deployed, in float64 where the file needs it) and the HLS project's C-simulation.
    Inputs are put on the input grid first: off it no fixed-point implementation can agree with a floating-point one.

    Args:
        keras_model: the Keras model that was exported, in memory or the path of its `.keras` file, or None.
        model: the ONNX file.
        project: the result of `to_hls`, compiled, or None.
        x: events `[B, ...]`, or a mapping from input name for models with several inputs, or `datasets.Events`, of
            which only a batch at a time is in memory.
        progress: called with the events done and the events in all.

    Returns:
        The report; `report.ok` is True only when no fixed-point value differs anywhere.

    Raises:
        ModelFileError: if the file cannot be read.
        InputDataError: if the events do not fit the model.
    """
    proto = read_model(model)
    events = x if isinstance(x, Events) else _in_memory(proto, x)
    verifier = Verifier(proto, keras_model, project)
    report = None
    size = affordable_batch(proto, BATCH)
    for start in range(0, len(events), size):
        stop = min(start + size, len(events))
        found = verifier.compare(events.read(start, stop))
        report = found if report is None else report + found
        if progress is not None:
            progress(stop, len(events))
    assert report is not None, "there is at least one event"
    return report


class Verifier:
    """Every implementation of a model, ready to be compared batch by batch.

    Args:
        proto: the model.
        keras_model: as for `verify`.
        project: as for `verify`.
    """

    def __init__(self, proto: ModelProto, keras_model: Any | None = None, project: Any | None = None) -> None:
        self._types = input_types(proto)
        self._notes: list[str] = []
        tensors = _data_tensors(proto)
        if not tensors:
            problem = "computes nothing from its inputs: there is nothing to compare"
            raise ModelFileError("the model", problem, allowed="one node or more behind an input")
        self._backends = list(_backends(keras_model, proto, project, tensors, self._notes))
        self._tolerances = _tolerances(infer_grids(proto), tensors, self._backends)
        self._notes += dict.fromkeys(f"Tolerance: {reason}" for _, reason in self._tolerances.values() if reason)
        self._reference = _session(proto, tensors, "function")

    def compare(self, given: Tensors) -> Report:
        """Compare the implementations on some events, arrays `[B, ...]` by input name."""
        rounded = {n: self._types[n].quantize(v) if n in self._types else v for n, v in given.items()}
        batch = {name: values.astype(np.float32) for name, values in rounded.items()}
        wanted = self._reference(batch)
        found = {backend.name: backend.run(batch) for backend in self._backends}
        rows = []
        for (tensor, other), (tolerance, reason) in self._tolerances.items():
            row = Comparison(tensor, REFERENCE, other, tolerance, reason)
            row.add(wanted[tensor], np.asarray(found[other][tensor]))
            rows.append(row)
        changed = sum(int(np.count_nonzero(batch[name] != values)) for name, values in given.items())
        events, total = len(next(iter(given.values()))), sum(values.size for values in given.values())
        return Report(ComparisonTable(rows), events, total, changed, self._notes)


def _in_memory(proto: ModelProto, x: Any) -> InMemoryEvents:
    """Checked float32 or float64 arrays by input name."""
    shapes = input_shapes(proto)
    if not isinstance(x, Mapping):
        if len(shapes) != 1:
            raise InputDataError(
                "x",
                f"is one array, the model has {len(shapes)} inputs: {', '.join(shapes)}",
                allowed="a mapping from input name to array",
            )
        x = dict.fromkeys(shapes, x)
    given = {name: np.asarray(values) for name, values in x.items()}
    as_run = {name: v.astype(np.float32) if v.dtype == np.float64 else v for name, v in given.items()}
    check_inputs({name: ("tensor(float)", shape) for name, shape in shapes.items()}, as_run)
    check_lengths("x", given)
    return InMemoryEvents(given)


def _data_tensors(proto: ModelProto) -> list[str]:
    """Numeric tensors of stated shape that depend on an input, in the order of the graph."""
    values = {n: v for n, v in all_values(proto).items() if v.type.tensor_type.HasField("shape")}
    numeric = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64)
    live = {value.name for value in proto.graph.input}
    found = []
    for node in proto.graph.node:
        if live.intersection(node.input):
            live.update(node.output)
            found += [n for n in node.output if n in values and values[n].type.tensor_type.elem_type in numeric]
    return found


def _session(proto: ModelProto, tensors: Sequence[str], kernels: str) -> Callable[[Tensors], Tensors]:
    session = InferenceSession(with_outputs(proto, tensors), kernels=kernels)
    return lambda batch: dict(zip(tensors, session.run(list(tensors), batch), strict=True))


def _keras(keras_model: Any, proto: ModelProto, tensors: Sequence[str]) -> Backend:
    """The Keras model; float64 where the file holds a tensor in float64."""
    from sparse_qonnx.export.freeze import Reference
    from sparse_qonnx.export.loading import load_model

    if isinstance(keras_model, str | os.PathLike):
        keras_model = load_model(keras_model)
    wide = any(v.type.tensor_type.elem_type == TensorProto.DOUBLE for v in all_values(proto).values())
    reference = Reference(keras_model, float64=wide)
    inputs = [value.name for value in proto.graph.input]

    def run(batch: Tensors) -> Tensors:
        return reference.run(reference.check([batch[name] for name in inputs]))

    shapes = {v.name: [n for n in tensor_shape(v)[1:] if isinstance(n, int)] for v in proto.graph.input}
    known = run({name: np.zeros((1, *shape), np.float32) for name, shape in shapes.items()})
    return Backend("Keras (float64)" if wide else "Keras", [name for name in tensors if name in known], run, {})


def _backends(
    keras_model: Any | None, proto: ModelProto, project: Any | None, tensors: list[str], notes: list[str]
) -> Iterator[Backend]:
    """What there is to compare; what is missing is written into the notes."""
    if keras_model is not None:
        yield _keras(keras_model, proto, tensors)
    yield Backend("NumPy", tensors, lambda batch: run_reference(proto, batch, tensors), {})
    if find_library() is None:
        notes.append(f"Native kernels not compared: {why_no_library()}")
    else:
        yield Backend("native kernels", tensors, _session(proto, tensors, "native"), {})
    yield Backend("qonnx", tensors, lambda batch: run_qonnx(proto, batch, tensors), {})
    if project is not None:
        known = [name for name in tensors if name in project.tensors]
        yield Backend("C-simulation", known, lambda batch: project.predict_tensors(batch, known), project.tolerances)


def _tolerances(proof: Proof, tensors: list[str], backends: list[Backend]) -> dict[tuple[str, str], tuple[float, str]]:
    """What is compared, tensor and backend, in the order of the table, each with its tolerance and the reason."""
    return {(n, b.name): _tolerance(proof, n, b) for n in tensors for b in backends if n in b.tensors}


def _tolerance(proof: Proof, name: str, backend: Backend) -> tuple[float, str]:
    if backend.tolerances.get(name):
        return backend.tolerances[name], f"{name}: the firmware computes it with a table, whose error is stated"
    grid = proof.grids.get(name)
    if name.endswith("coords"):
        return 0.0, ""
    if grid is None:
        return FLOAT_TOLERANCE, f"{name}: floating point, each runtime has its own exponential and order of sums"
    if grid.rounded:
        largest = max(abs(grid.lowest), grid.highest) * 2.0**-grid.frac / grid.divisor
        return largest * QUOTIENT_TOLERANCE, f"{name}: a sum of quotients, each rounded once in floating point"
    return 0.0, ""
