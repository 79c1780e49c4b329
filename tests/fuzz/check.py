"""One network through every implementation, the same events, compared value for value.

Two Keras references: the model as built by its own script with its learned reductions replaced by the fixed ones they
are at inference (nothing of this package takes part), for the outputs; and `reference_outputs`, for every tensor.

Non-finite events are compared among NumPy, onnxruntime, qonnx and the native kernels only: Keras multiplies the image
by the keep mask, so there NaN and infinities of pixels that were not kept spread as `nan * 0`.

Events off the input grid are compared where a quantizer is the first to read them, in float32: elsewhere the file
promises nothing for them.

Some standard operators do not treat NaN and infinities alike everywhere (`LOSE_NAN`). Of the tensors at and behind one
of them, an event in which its input is not finite is left out; the other events of the same batch are compared.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import onnx
from onnx import ModelProto

from fuzz.recipe import Network, load
from fuzz.refusals import FLOATS, explain, explain_hardware
from fuzz.tensors import Array, Tensors, comparable, data_tensors, difference, occurred, with_non_finite
from sparse_qonnx.errors import PrecisionError, SparseQonnxError, UnsupportedNodeError
from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.graph import read_metadata
from sparse_qonnx.grid import Grid
from sparse_qonnx.implementations import quotient_tolerances
from sparse_qonnx.numerators import ValueNames
from sparse_qonnx.passes.infer_grids import infer_grids, input_types
from sparse_qonnx.reference import run_reference
from sparse_qonnx.roles import coordinates
from sparse_qonnx.runtime import Kernels, run_qonnx, run_tensors
from sparse_qonnx.ties import Ties

HEAD_TOLERANCE = 5e-6
"""Softmax and sigmoid are floating point: every runtime has its own exponential and order of sums, a few ulp of 1."""
QUOTIENT_TOLERANCE = 2.0**-20
"""Relative to the largest value a tensor can hold: sums of quotients (averages by no power of two, not quantized
since) depend on the order of floating-point additions."""
FUSED = ("layer QBatchNorm", "layer QEinsumDenseBatchnorm")
"""Layers that make weights of statistics before they quantize them: built in float64 such a layer has other weights.
Where float64 is asked for, `reference_outputs` is the reference: it takes the weights that were trained in float32."""
SAVED_EVERY = 8
"""One network in so many is also exported from a `.keras` file."""
UNPROVEN = FixedPointType.parse("ap_fixed<6,3>")
"""Events of inputs whose type is neither stated nor derivable."""


class MismatchError(AssertionError):
    """Two implementations disagree, or an exception nobody announced."""


@dataclass
class Result:
    """What became of one network.

    Attributes:
        refusal: class of the documented refusal; empty where the export succeeded.
        values: values compared for equality, and with a tolerance.
        tensors: tensors compared for equality, and with a tolerance.
        notes: what occurred, for the statistics.
    """

    refusal: str = ""
    values: list[int] = field(default_factory=lambda: [0, 0])
    tensors: list[int] = field(default_factory=lambda: [0, 0])
    notes: set[str] = field(default_factory=set)


def check_script(path: str, csim: bool = False) -> Result:
    """Check the network of a script file."""
    return check_source(Path(path).read_text(), csim)


def check(network: Network, csim: bool = False) -> Result:
    """Check a network.

    Raises:
        MismatchError: where implementations disagree or a refusal is not documented.
    """
    return check_source(network.script(), csim)


def check_source(source: str, csim: bool = False) -> Result:
    """Check the network that a script builds."""
    script = load(source)
    script["keras"].backend.clear_session(free_memory=False)
    result = Result()
    try:
        model = script["float_model"](script["build"], "float32")
    except Exception as error:
        return _not_a_model(error, result)
    proto = _export(model, script, result)
    if proto is None:
        return result
    # A weight quantizer of HGQ2 wraps once it is not trainable, and a frozen layer is loaded with trainable quantizers:
    # the Keras model itself is then another one.
    if script["EVENTS_SEED"] % SAVED_EVERY == 0 and "trainable=False" not in script["FEATURES"]:
        _check_saved(model, proto, script["INPUT_PRECISION"])
        result.notes.add("saved as .keras and loaded")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # qonnx and NumPy on non-finite events
        _Case(script, model, proto, result, csim).run()
    return result


def _not_a_model(error: Exception, result: Result) -> Result:
    """Keras cannot build it; the generator makes a few such networks on purpose."""
    result.refusal = f"Keras cannot build it: {type(error).__name__}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    result.notes.add(f"{result.refusal}: {' '.join(lines[:2])[:200]}")
    return result


def _export(model: Any, script: dict[str, Any], result: Result) -> ModelProto | None:
    """The file, or None where the exporter refuses for a documented reason."""
    from sparse_qonnx.export import export

    try:
        return export(model, input_precision=script["INPUT_PRECISION"])
    except SparseQonnxError as error:
        reason = explain(error, script["FEATURES"])
        if reason is None:
            raise MismatchError(f"undocumented refusal {type(error).__name__}: {error}") from error
        result.refusal = f"{type(error).__name__}: {reason}"
        return None
    except Exception as error:
        raise MismatchError(f"export raised {type(error).__name__}: {error}") from error


def _check_saved(model: Any, proto: ModelProto, input_precision: str | None) -> None:
    """The same file comes from the model on disk."""
    from sparse_qonnx.export import export

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        try:
            loaded = export(path, input_precision=input_precision)
        except Exception as error:
            raise MismatchError(f"export of the saved model raised {type(error).__name__}: {error}") from error
    if loaded.SerializeToString(deterministic=True) != proto.SerializeToString(deterministic=True):
        raise MismatchError("the saved model gives another file than the model in memory")


def has_native() -> bool:
    """Whether the native kernels were built."""
    from sparse_qonnx._paths import find_library

    return find_library() is not None


@contextmanager
def one_zero() -> Iterator[None]:
    """Keras on TensorFlow puts -0 below 0 where it looks for the place of the largest; fixed-point has one zero."""
    from keras.src import backend

    with ExitStack() as stack:
        for name in ("argmax", "argmin"):
            original = getattr(backend.numpy, name)
            plain = functools.partial(lambda original, x, *args, **kw: original(x + 0, *args, **kw), original)
            stack.enter_context(mock.patch.object(backend.numpy, name, plain))
        yield


class _Case:
    """An exported network and its events."""

    def __init__(self, script: dict[str, Any], model: Any, proto: ModelProto, result: Result, csim: bool) -> None:
        self.script, self.model, self.proto, self.result, self.csim = script, model, proto, result, csim
        self.quotients = quotient_tolerances(proto)
        self.wide = bool(self.quotients) or read_metadata(proto)["sparse_qonnx.arithmetic"] == "float64"
        self.ties = Ties(proto, infer_grids(proto))
        if self.quotients:
            result.notes.add("division carried")
        self.grids, self.places = infer_grids(proto).grids, coordinates(proto)
        self.outputs = [v.name for v in proto.graph.output]
        self.tensors = list(data_tensors(proto))
        self.types = input_types(proto)
        result.notes.add("arithmetic float64" if self.wide else "arithmetic float32")
        self._check_file()

    # ---- the comparisons ----------------------------------------------------------------------------------------

    def run(self) -> None:
        events = self._events()
        off_grid = self._off_grid(events)
        broken = {name: with_non_finite(x, self.script["EVENTS_SEED"]) for name, x in events.items()}
        kinds = {"events": events, "off-grid events": off_grid, "non-finite events": broken}
        found = self._compare_files({what: batch for what, batch in kinds.items() if batch is not None})
        stock = found["events"]
        self._compare_outputs(events, stock)
        self.result.notes |= occurred(self.proto, events | stock)
        for name, values in stock.items():
            self._check_grid(name, values)
        self._compare_keras(events, stock)
        if any(np.any(stock[name]) for name in self.outputs):
            self.result.notes.add("outputs not all 0")
        if self.csim:
            self._compare_csim(events, stock)
        if off_grid is not None:
            self.result.notes.add("events off the grid")
            self._compare_keras(off_grid, found["off-grid events"], independent_only=True)
        self.result.notes.add("NaN and infinities")

    def _compare_files(self, kinds: dict[str, Tensors]) -> dict[str, Tensors]:
        """Every implementation of the file on every tensor, all events in one batch; returns stock onnxruntime's."""
        first = next(iter(kinds.values()))
        events = {name: np.concatenate([batch[name] for batch in kinds.values()]) for name in first}
        count = len(next(iter(events.values())))
        rows, start = {}, 0
        for what, batch in kinds.items():
            rows[what] = slice(start, start + len(next(iter(batch.values()))))
            start = rows[what].stop
        stock = run_tensors(self.proto, events, self.tensors, kernels=Kernels.FUNCTION)
        kept = comparable(self.proto, events, stock)

        def of_kind(what: str, name: str, values: Array) -> Array:
            return values[rows[what]] if len(values) == count else values  # shapes of float layers have no batch

        def agree(who: str, found: Tensors) -> None:
            for name, values in found.items():
                whole = np.asarray(values)
                for what in kinds:
                    wanted, got = of_kind(what, name, stock[name]), of_kind(what, name, whole)
                    if len(whole) == count:
                        wanted, got = wanted[kept[name][rows[what]]], got[kept[name][rows[what]]]
                    self._agree(f"{who}, {what}", {name: wanted}, {name: got})

        agree("NumPy", run_reference(self.proto, events, self.tensors))
        agree("qonnx", run_qonnx(self.proto, events, self.tensors))
        if has_native():
            agree("native", run_tensors(self.proto, events, self.tensors, kernels=Kernels.NATIVE))
            self.result.notes.add("native kernels")
        return {what: {name: of_kind(what, name, values) for name, values in stock.items()} for what in kinds}

    def _compare_outputs(self, events: Tensors, stock: Tensors) -> None:
        """Asked for nothing but its outputs, a session fuses nodes."""
        for kernels in (Kernels.FUNCTION, *([Kernels.NATIVE] if has_native() else [])):
            found = run_tensors(self.proto, events, kernels=kernels)
            self._agree(f"{kernels.value} kernels, outputs only", stock, found)

    def _compare_keras(self, events: Tensors, stock: Tensors, independent_only: bool = False) -> None:
        from sparse_qonnx.export.freeze import reference_outputs

        if not independent_only:
            known = reference_outputs(self.model, list(events.values()), float64=self.wide)
            names = ValueNames(self.proto)
            held = {*self.grids, *events}  # a layer may give its input back
            missing = sorted(name for name in known if names.held(name) not in held)
            if missing:
                raise MismatchError(f"reference_outputs names tensors the file has not: {missing}")
            exact = names.given([n for n in known if names.held(n) in stock], stock)
            self._agree_but_for_ties("Keras, frozen", exact, {n: v for n, v in known.items() if n in exact}, stock)
        if not (self.wide and any(f.startswith(FUSED) for f in self.script["FEATURES"])):
            found = dict(zip(self.outputs, self._keras(events), strict=True))
            self._agree_but_for_ties("Keras", stock, found, stock)

    def _keras(self, events: Tensors) -> list[Array]:
        """Outputs of the script's own model, in float64 where the file asks for it."""
        kind = "float64" if self.wide else "float32"
        model = self.script["float_model"](self.script["build"], kind) if self.wide else self.model
        self.script["freeze"](model)
        with one_zero():
            outputs = self.script["float_model"](lambda: model([x.astype(kind) for x in events.values()]), kind)
        return [np.asarray(y) for y in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]

    def _compare_csim(self, events: Tensors, stock: Tensors) -> None:
        """The firmware, tensor by tensor; what has no hardware is refused, and counted by node type."""
        from sparse_qonnx.hls import to_hls

        with TemporaryDirectory() as folder:
            try:
                project = to_hls(self.proto, folder)
            except (UnsupportedNodeError, PrecisionError) as error:
                self.result.notes.add(f"no firmware: {explain_hardware(error)}")
                return
            names = [name for name in self.tensors if name in project.tensors]
            found = project.predict_tensors(events, names)
        for name in names:
            self._agree("C-simulation", stock, {name: found[name]}, project.tolerances.get(name, 0.0))
        self.result.notes.add("C-simulated")

    # ---- events -------------------------------------------------------------------------------------------------

    def _events(self) -> Tensors:
        events = {}
        for number, (name, shape) in enumerate(self.script["INPUTS"]):
            kind = self.types.get(name)
            if kind is None:
                self.result.notes.add("input type unknown")
            kind = kind or UNPROVEN
            limits = [max(min(m, 2**24), -(2**24)) for m in (kind.lowest, kind.highest)]
            seed = self.script["EVENTS_SEED"] + number
            events[name] = self.script["random_events"](shape, seed, *limits, kind.frac, self.script["NEAR"])
        return events

    def _off_grid(self, events: Tensors) -> Tensors | None:
        """The events moved between the grid points, ties among them; None where nothing is promised there."""
        metadata = read_metadata(self.proto)
        sources = [metadata.get(f"sparse_qonnx.input_precision_source.{name}") for name in events]
        if self.wide or set(sources) != {"derived"}:
            return None
        rng = np.random.default_rng(self.script["EVENTS_SEED"])
        moved = {}
        for name, x in events.items():
            step = 2.0 ** -self.types[name].frac
            shift = rng.choice([0.5, -0.5, 0.25, 0.3, 0.0], x.shape) * step * (x != 0)
            moved[name] = (x + shift).astype(np.float32)
        return moved

    # ---- agreement ----------------------------------------------------------------------------------------------

    def _check_file(self) -> None:
        """Valid ONNX, unique names; a tensor is unproven only behind a float head or an input of unknown type."""
        graph = self.proto.graph
        onnx.checker.check_model(self.proto)
        names = Counter([t.name for t in graph.initializer] + [n for node in graph.node for n in node.output])
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise MismatchError(f"names given twice: {twice}")
        known = all(name in self.types for name, _ in self.script["INPUTS"])
        floats = any(re.search(p, f) for p in (*FLOATS, "float head") for f in self.script["FEATURES"])
        for name in self.tensors:
            if known and not floats and self.grids.get(name) is None and name not in self.places:
                raise MismatchError(f"tensor {name!r} is not proven although every input type is known")

    def _check_grid(self, name: str, values: Array) -> None:
        """What was proven of a tensor holds: its values lie on its grid and within its limits."""
        grid = self.grids.get(name)
        if grid is None or grid.rounded:
            return
        numerators = values.astype(np.float64) * 2.0**grid.frac * grid.divisor
        nearest = np.rint(numerators)
        exact = numerators == nearest if grid.divisor == 1 else np.abs(numerators - nearest) <= 2.0**-20 * abs(nearest)
        scale = 2.0**grid.frac * grid.divisor
        # A wide output is the nearest float32, which may lie beyond the limit that it stands for.
        lo, hi = (np.rint((a.astype(float) / scale).astype(values.dtype) * scale) for a in (grid.lo, grid.hi))
        inside = (nearest >= lo) & (nearest <= hi)
        if not (exact & inside).all():
            place = tuple(int(n) for n in np.argwhere(~(exact & inside))[0])
            raise MismatchError(
                f"tensor {name!r} leaves its grid {grid.describe()}: {float(values[place])!r} at {place}"
            )

    def _tolerance(self, name: str) -> float:
        grid: Grid | None = self.grids.get(name)
        if name in self.places:
            return 0.0
        if grid is None:
            return HEAD_TOLERANCE
        if grid.rounded:
            return max(abs(grid.lowest), grid.highest) * 2.0**-grid.frac / grid.divisor * QUOTIENT_TOLERANCE
        return 0.0

    def _agree_but_for_ties(self, who: str, exact: Tensors, found: Tensors, stock: Tensors) -> None:
        """Keras decides a tie behind a sum of quotients by luck: such an event is left out from there on."""
        names = ValueNames(self.proto)
        tied = self.ties.excused(stock | names.given([n for n in names.values if names.held(n) in stock], stock), found)
        for name, values in found.items():
            kept = ~tied.get(names.held(name), np.zeros(len(values), dtype=bool))
            if not kept.all():
                self.result.notes.add("ties that Keras decides by luck")
            self._agree(who, {name: exact[name][kept]}, {name: values[kept]}, self.quotients.get(name, 0.0))

    def _agree(self, who: str, stock: Tensors, other: Mapping[str, Array], stated: float = 0.0) -> None:
        for name, found in other.items():
            wanted, tolerance = stock[name], max(self._tolerance(name), stated)
            self.result.values[bool(tolerance)] += wanted.size
            self.result.tensors[bool(tolerance)] += 1
            problem = difference(wanted, np.asarray(found), tolerance)
            if problem:
                raise MismatchError(f"tensor {name!r}: stock onnxruntime and {who} differ: {problem}")
