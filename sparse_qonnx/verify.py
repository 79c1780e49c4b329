"""The cross-checks: one file, every implementation of it, the same events, compared value for value."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from sparse_qonnx.comparison import Comparison, ComparisonTable, Report
from sparse_qonnx.datasets.convert import as_float, as_type, check_kind
from sparse_qonnx.datasets.events import Events, InMemoryEvents, check_lengths
from sparse_qonnx.errors import InputDataError, ModelFileError
from sparse_qonnx.files import is_model, read_model
from sparse_qonnx.graph import all_values
from sparse_qonnx.implementations import (
    Implementation,
    Pair,
    Tensors,
    interface_of,
    of_file,
    of_keras,
    of_other_file,
    of_project,
    pair_inputs,
    pair_tensors,
    session_runner,
)
from sparse_qonnx.numerators import ValueNames
from sparse_qonnx.offgrid import OffGrid
from sparse_qonnx.passes.infer_grids import infer_grids, input_types
from sparse_qonnx.passes.remembered import proven_once
from sparse_qonnx.runtime import affordable_batch, check_inputs, input_dtypes, input_shapes
from sparse_qonnx.ties import Ties

Array = NDArray[Any]

REFERENCE = "onnxruntime"
BATCH = 128

FLOAT_TOLERANCE = 5e-6
"""Softmax and sigmoid are float32 in each runtime with its own exponential: a few units in the last place of 1."""
QUOTIENT_TOLERANCE = 2.0**-20
"""Relative, for sums of quotients with no quantizer between: each term is rounded to float once."""


@proven_once()
def verify(
    model: Any,
    x: Any,
    keras_model: Any | None = None,
    project: Any | None = None,
    *,
    others: Sequence[Any] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Run the same events through every implementation of a model and compare every tensor with stock onnxruntime.

    Compared are the NumPy reference, the native kernels where they were built, qonnx's node-by-node execution and,
    where given, the Keras model (as deployed, in float64 where the file needs it), the HLS project's C-simulation and
    other ONNX files. Outputs are compared by name, or by position where the names differ; inner tensors by name. Inputs
    are put on the input grid first: off it no fixed-point implementation can agree with a floating-point one.

    Args:
        model: the ONNX file, as a path, bytes, or in memory.
        x: events `[B, ...]` of any numeric type, or a mapping from input name for models with several inputs, or
            `datasets.Events`, of which only a batch at a time is in memory.
        keras_model: the Keras model that was exported, in memory or the path of its `.keras` file, or None.
        project: the result of `to_hls`, compiled, or None.
        others: more ONNX files that are to compute the same, such as this one after a tool changed it.
        progress: called with the events done and the events in all.

    Returns:
        The report; `report.ok` is True only when every output of all that was given was compared, and no fixed-point
        value differs anywhere.

    Raises:
        ModelFileError: if a file cannot be read.
        InputDataError: if the events do not fit the model.
        UnsupportedLayerError: for a Keras model that cannot be exported.
    """
    if is_model(x):
        message = "verify(keras_model, model, project, x) is now verify(model, x, keras_model, project)"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        model, x, keras_model, project = x, project, model, keras_model
    proto = read_model(model)
    events = x if isinstance(x, Events) else _in_memory(proto, x)
    verifier = Verifier(proto, keras_model, project, others)
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
        others: as for `verify`.
    """

    def __init__(
        self,
        proto: ModelProto,
        keras_model: Any | None = None,
        project: Any | None = None,
        others: Sequence[Any] = (),
    ) -> None:
        self._types, self._dtypes = input_types(proto), input_dtypes(proto)
        self._notes: list[str] = []
        self._problems: list[str] = []
        self._file = interface_of(proto)
        if not self._file.tensors:
            problem = "computes nothing from its inputs: there is nothing to compare"
            raise ModelFileError("the model", problem, allowed="one node or more behind an input")
        self._implementations = self._all(proto, keras_model, project, others)
        self._inputs = {each.name: pair_inputs(self._file, each.interface) for each in self._implementations}
        self._rows = self._pairs(_Tolerances(proto))
        self._names, self._ties = ValueNames(proto), Ties(proto, infer_grids(proto))
        self._reference = session_runner(proto, list(self._file.tensors), "function")

    def _all(
        self, proto: ModelProto, keras_model: Any | None, project: Any | None, others: Sequence[Any]
    ) -> list[Implementation]:
        found = [] if keras_model is None else [of_keras(keras_model, proto, self._notes)]
        found += of_file(proto, self._file, self._notes)
        if project is not None:
            found.append(of_project(project, proto, self._notes))
        found += [of_other_file(other, n, proto, self._notes) for n, other in enumerate(others, 2)]
        return found

    def _pairs(self, tolerances: _Tolerances) -> list[tuple[Implementation, Pair, float, str]]:
        """What is compared, in the order of the table: by tensor, then by implementation."""
        rows = []
        for each in self._implementations:
            pairs, problems = pair_tensors(self._file, each)
            self._problems += problems
            rows += [(each, pair, *tolerances.of(pair, each)) for pair in pairs]
        order = {name: n for n, name in enumerate(self._file.tensors)}
        rows.sort(key=lambda row: order[row[1].tensor])
        self._notes += dict.fromkeys(f"Tolerance: {reason}" for *_, reason in rows if reason)
        return rows

    def compare(self, given: Tensors) -> Report:
        """Compare the implementations on some events, arrays `[B, ...]` by input name."""
        given = {name: as_float(f"input {name!r}", values) for name, values in given.items()}
        rounded = {n: self._types[n].quantize(v) if n in self._types else v for n, v in given.items()}
        batch = {name: as_type(f"input {name!r}", values, self._dtypes[name]) for name, values in rounded.items()}
        wanted = self._reference(batch)
        found = {each.name: self._run(each, batch) for each in self._implementations}
        rows = []
        on_ties = {
            each.name: self._ties.excused(wanted, found[each.name])
            for each in self._implementations
            if self._ties and each.adds_quotients
        }
        for each, pair, tolerance, reason in self._rows:
            renamed = "" if pair.counterpart == pair.tensor else pair.counterpart
            row = Comparison(pair.tensor, REFERENCE, each.name, tolerance, reason, counterpart=renamed)
            tied = on_ties.get(each.name, {}).get(self._names.held(pair.tensor))
            row.add(wanted[pair.tensor], np.asarray(found[each.name][pair.counterpart]), tied)
            rows.append(row)
        off_grid = sum((OffGrid.count(v, self._types.get(n)) for n, v in given.items()), OffGrid())
        names = [each.name for each in self._implementations]
        events = len(next(iter(given.values())))
        return Report(ComparisonTable(rows), events, off_grid, self._notes, names, self._problems)

    def _run(self, each: Implementation, batch: Tensors) -> Mapping[str, Array]:
        wanted = list(dict.fromkeys(pair.counterpart for one, pair, *_ in self._rows if one is each))
        inputs = {theirs: batch[ours] for theirs, ours in self._inputs[each.name].items()}
        return each.run(inputs, wanted) if wanted else {}


class _Tolerances:
    """Which differences count as equal, by what is proven of a tensor, and why."""

    def __init__(self, proto: ModelProto) -> None:
        self._proof = infer_grids(proto)
        self._values = all_values(proto)
        self._names = ValueNames(proto)

    def of(self, pair: Pair, implementation: Implementation) -> tuple[float, str]:
        """Tolerance and reason; 0 and "" where values have to be equal."""
        name = pair.tensor
        stated = implementation.tolerances.get(pair.counterpart)
        if stated:
            return stated, f"{name}: {implementation.why}"
        name = self._names.held(name)
        if self._values[name].type.tensor_type.elem_type not in (TensorProto.FLOAT, TensorProto.DOUBLE):
            return 0.0, ""
        grid = self._proof.grids.get(name)
        if grid is None:
            return FLOAT_TOLERANCE, f"{name}: floating point, each runtime has its own exponential and order of sums"
        if grid.rounded:
            largest = max(abs(grid.lowest), grid.highest) * 2.0**-grid.frac / grid.divisor
            return largest * QUOTIENT_TOLERANCE, f"{name}: a sum of quotients, each rounded once in floating point"
        return 0.0, ""


def _in_memory(proto: ModelProto, x: Any) -> InMemoryEvents:
    """Checked arrays by input name, in the types that they have."""
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
    for name, values in given.items():
        check_kind(f"input {name!r}", values.dtype)
    check_inputs({name: ("", shape) for name, shape in shapes.items()}, given)
    check_lengths("x", given)
    return InMemoryEvents(given)
