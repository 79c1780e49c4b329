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
from sparse_qonnx.errors import InputDataError
from sparse_qonnx.files import read_model
from sparse_qonnx.graph import all_values
from sparse_qonnx.passes.infer_grids import Proof, infer_grids, input_types
from sparse_qonnx.reference import run_reference
from sparse_qonnx.runtime import InferenceSession, check_inputs, input_shapes, run_qonnx, with_outputs

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
    """An implementation: which tensors it gives for a batch of inputs (and its place), with which stated errors."""

    name: str
    tensors: Sequence[str]
    run: Callable[[Tensors, slice], Mapping[str, Array]]
    tolerances: Mapping[str, float]


def verify(
    keras_model: Any | None,
    model: str | os.PathLike[str] | ModelProto,
    project: Any | None,
    x: Array | Mapping[str, Array],
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
        x: events `[B, ...]`, or a mapping from input name for models with several inputs.
        progress: called with the events done and the events in all.

    Returns:
        The report; `report.ok` is True only when no fixed-point value differs anywhere.

    Raises:
        ModelFileError: if the file cannot be read.
        InputDataError: if the events do not fit the model.
    """
    proto = read_model(model)
    given = _inputs(proto, x)
    on_grid = _on_grid(proto, given)
    events = len(next(iter(on_grid.values())))
    tensors = _data_tensors(proto)
    notes: list[str] = []
    backends = list(_backends(keras_model, proto, project, on_grid, tensors, notes))
    rows = _rows(infer_grids(proto), tensors, backends)
    reference = _session(proto, tensors, "function")
    for start in range(0, events, BATCH):
        place = slice(start, start + BATCH)
        batch = {name: values[place] for name, values in on_grid.items()}
        wanted = reference(batch, place)
        for backend in backends:
            found = backend.run(batch, place)
            for name in backend.tensors:
                rows[name, backend.name].add(wanted[name], np.asarray(found[name]))
        if progress is not None:
            progress(min(start + BATCH, events), events)
    notes += dict.fromkeys(f"Tolerance: {row.reason}" for row in rows.values() if row.reason)
    total = sum(v.size for v in given.values())
    changed = sum(int(np.count_nonzero(on_grid[name] != given[name])) for name in given)
    return Report(ComparisonTable(list(rows.values())), events, total, changed, notes)


def _inputs(proto: ModelProto, x: Array | Mapping[str, Array]) -> Tensors:
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
    lengths = sorted({len(values) for values in given.values()})
    if len(lengths) != 1 or lengths == [0]:
        raise InputDataError("x", f"has {lengths} events", allowed="the same number for every input, at least 1")
    return given


def _on_grid(proto: ModelProto, given: Tensors) -> Tensors:
    """The float32 inputs that are run: on the stated grid, where one is stated."""
    types = input_types(proto)
    rounded = {name: types[name].quantize(values) if name in types else values for name, values in given.items()}
    return {name: values.astype(np.float32) for name, values in rounded.items()}


def _data_tensors(proto: ModelProto) -> list[str]:
    """Numeric tensors that depend on an input, in the order of the graph."""
    values = all_values(proto)
    numeric = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64)
    live = {value.name for value in proto.graph.input}
    found = []
    for node in proto.graph.node:
        if live.intersection(node.input):
            live.update(node.output)
            found += [n for n in node.output if n in values and values[n].type.tensor_type.elem_type in numeric]
    return found


def _session(proto: ModelProto, tensors: Sequence[str], kernels: str) -> Callable[[Tensors, slice], Tensors]:
    session = InferenceSession(with_outputs(proto, tensors), kernels=kernels)
    return lambda batch, _: dict(zip(tensors, session.run(list(tensors), batch), strict=True))


def _keras(keras_model: Any, proto: ModelProto, on_grid: Tensors, tensors: Sequence[str]) -> Backend:
    """The Keras model, run once over all events; float64 where the file holds a tensor in float64."""
    from sparse_qonnx.export.freeze import reference_outputs
    from sparse_qonnx.export.loading import load_model

    if isinstance(keras_model, str | os.PathLike):
        keras_model = load_model(keras_model)
    wide = any(v.type.tensor_type.elem_type == TensorProto.DOUBLE for v in all_values(proto).values())
    arrays = [on_grid[value.name] for value in proto.graph.input]
    outputs = reference_outputs(keras_model, arrays, tensors, float64=wide)
    found = [name for name in tensors if name in outputs]
    return Backend(
        "Keras (float64)" if wide else "Keras", found, lambda _, place: {n: outputs[n][place] for n in found}, {}
    )


def _backends(
    keras_model: Any | None,
    proto: ModelProto,
    project: Any | None,
    on_grid: Tensors,
    tensors: list[str],
    notes: list[str],
) -> Iterator[Backend]:
    """What there is to compare; what is missing is written into the notes."""
    if keras_model is not None:
        yield _keras(keras_model, proto, on_grid, tensors)
    yield Backend("NumPy", tensors, lambda batch, _: run_reference(proto, batch, tensors), {})
    if find_library() is None:
        notes.append(f"Native kernels not compared: {why_no_library()}")
    else:
        yield Backend("native kernels", tensors, _session(proto, tensors, "native"), {})
    yield Backend("qonnx", tensors, lambda batch, _: run_qonnx(proto, batch, tensors), {})
    if project is not None:
        known = [name for name in tensors if name in project.tensors]
        yield Backend("C-simulation", known, lambda batch, _: project.predict_tensors(batch, known), project.tolerances)


def _rows(proof: Proof, tensors: list[str], backends: list[Backend]) -> dict[tuple[str, str], Comparison]:
    """An empty comparison for every tensor and backend, tolerances set."""
    rows = {}
    for name in tensors:
        for backend in backends:
            if name in backend.tensors:
                tolerance, reason = _tolerance(proof, name, backend)
                rows[name, backend.name] = Comparison(name, REFERENCE, backend.name, tolerance, reason)
    return rows


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
