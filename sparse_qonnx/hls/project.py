"""The project folder: writing it, simulating it, building it, reading its reports."""

from __future__ import annotations

import importlib
import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from sparse_qonnx import html
from sparse_qonnx.errors import InputDataError
from sparse_qonnx.files import ModelSource, read_model
from sparse_qonnx.hls.balance import Choices, balance
from sparse_qonnx.hls.census import Census, take_census
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.csim import Library, compile_library
from sparse_qonnx.hls.folder import (
    MANIFEST,
    Files,
    check_target_folder,
    model_hash,
    project_files,
    working_in,
    write_project,
)
from sparse_qonnx.hls.lower import lower
from sparse_qonnx.hls.report import SynthesisReport, read_reports
from sparse_qonnx.hls.tools import TOOLS, Tool, run_tool
from sparse_qonnx.hls.typed import Tensor, TypedGraph
from sparse_qonnx.passes.input_precision import state_input_precision
from sparse_qonnx.passes.remembered import proven_once

Array = NDArray[Any]
_BATCH_VALUES = 1 << 17
"""Values of the inputs and wanted tensors that go through the firmware in one call: they stay in a core's cache."""

Progress = Callable[[int, int], None]


class Simulated(Protocol):
    """A compiled firmware: of `hls.csim`, or of a backend's own simulation."""

    def run(self, inputs: Mapping[str, Array], wanted: Iterable[str]) -> tuple[dict[str, Array], int]:
        """Values of some arrays by identifier, and how many input values were rounded to the input grid."""


class OffGridWarning(UserWarning):
    """Input values were not on the firmware's input grid and have been rounded to it."""


@proven_once()
def to_hls(
    model: ModelSource,
    out_dir: str | os.PathLike[str],
    backend: str | None = None,
    part: str | None = None,
    clock_period: float | None = None,
    config: Mapping[str, Any] | None = None,
    force: bool = False,
) -> HlsProject:
    """Write an HLS project for a model.

    Args:
        model: path or ModelProto.
        out_dir: folder of the project; it appears whole or not at all.
        backend: `Vitis` (the default), `Vivado`, `VitisUnified` or `Verilog`; goes before `config`, as do the next two.
        part: FPGA part.
        clock_period: ns; 5 by default.
        config: options, see `sparse_qonnx.hls.options`.
        force: replace a project that is already there. Files in its folder that it did not write stay.

    Raises:
        ModelFileError: the model cannot be read.
        ConfigurationError: an unknown option or impossible value.
        PrecisionError: an input has no stated type, or a tensor no exact one.
        UnsupportedNodeError: a node has no hardware.
        OutputPathError: the folder is in use or cannot be written.
    """
    target = Path(out_dir)
    check_target_folder(target, force)
    proto = read_model(model)
    options = HlsConfig.read(config, backend=backend, part=part, clock_period=clock_period)
    if options.input_precision:
        proto = state_input_precision(proto, options.input_precision)
    choices = balance(lower(proto, options), options)
    files, project = _project_class(options).write(proto, choices, options)
    write_project(target, files, force)
    return project(target)


def _project_class(config: HlsConfig) -> type[HlsProject]:
    """What a backend makes; Verilog is written by what stands on top of this folder, and found by name."""
    if config.backend != "Verilog":
        return HlsProject
    found: type[HlsProject] = importlib.import_module("sparse_qonnx.rtl.project").VerilogProject
    return found


class HlsProject:
    """A written project.

    Args:
        folder: where it is.
        graph: what is in it.
        config: the options it was made with.
        choices: variants and parallel factors of its layers.
        manifest: what it was made from, as the folder says.
    """

    simulation = "C-simulation"
    """What `predict` runs."""

    def __init__(self, folder: Path, graph: TypedGraph, config: HlsConfig, choices: Choices, manifest: bytes) -> None:
        self.folder = folder
        self.graph = graph
        self.config = config
        self.choices = choices
        self._manifest = manifest
        self._library: Simulated | None = None

    @classmethod
    def write(
        cls, model: ModelProto, choices: Choices, config: HlsConfig
    ) -> tuple[Files, Callable[[Path], HlsProject]]:
        """The files of a project, and the project once they are in a folder."""
        files = project_files(model, choices.graph, config)
        return files, lambda folder: cls(folder, choices.graph, config, choices, files[MANIFEST])

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: it loads the compiled library itself."""
        return self.__dict__ | {"_library": None}

    # ---- what is in it ----------------------------------------------------------------------------------------------

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Tensors that C-simulation can give, by their name in the ONNX file."""
        return dict(self.graph.views)

    @property
    def values(self) -> dict[str, Tensor]:
        """Values of which the ONNX file holds numerators: C-simulation gives them by their own names, too."""
        return dict(self.graph.values)

    @property
    def inputs(self) -> list[str]:
        """Its inputs, by their names in the ONNX file."""
        return [t.name for t in self.graph.inputs]

    @property
    def outputs(self) -> list[str]:
        """The outputs of the ONNX file that it computes."""
        return [t.name for n, t in enumerate(self.graph.outputs) if n not in self.graph.left_out]

    @property
    def left_out(self) -> list[str]:
        """The outputs of the ONNX file in whose place it gives what their head reads."""
        return list(self.graph.left_out.values())

    def is_made_from(self, model: ModelProto) -> bool:
        """Whether it was made from exactly this model."""
        if self.config.input_precision:
            model = state_input_precision(model, self.config.input_precision)
        return bool(json.loads(self._manifest)["model_sha256"] == model_hash(model))

    @property
    def tool(self) -> Tool:
        """The synthesis tool it is for."""
        return TOOLS[self.config.backend]

    @property
    def tolerances(self) -> dict[str, float]:
        """Stated largest errors of the tensors that are not exact: heads from tables."""
        return {name: t.tolerance for name, t in self.tensors.items() if t.tolerance}

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know: heads left out, errors of tables."""
        return (*self.graph.notes, *(f"{la.node}: {note}" for la in self.graph.layers for note in la.call.notes))

    def describe(self) -> str:
        """One sentence: for what it is made."""
        chosen = self.config
        return f"{chosen.backend} project for {chosen.part}, {chosen.clock_period:g} ns, in {str(self.folder)!r}"

    def _repr_html_(self) -> str | None:
        table = self.choices.to_html_table()
        return html.for_notebook(replace(table, title=self.describe(), notes=[*table.notes, *self.notes]))

    # ---- C-simulation -----------------------------------------------------------------------------------------------

    def compile(self) -> Path:
        """Compile the C-simulation with g++; the library is used again as long as nothing changes.

        Returns:
            The shared library.

        Raises:
            ToolError: the compiler or the ap_fixed headers are missing, or it fails.
            OutputPathError: the project was replaced by another, or the disk is full.
        """
        with working_in(self.folder, self._manifest):
            path = compile_library(self.folder, self.graph.top)
            self._library = Library(path, self.graph)
        return path

    def predict(
        self, x: Array | Mapping[str, Array], tensor: str | None = None, progress: Progress | None = None
    ) -> Array | tuple[Array, ...]:
        """C-simulate events.

        Args:
            x: `[B, ...]`, or a mapping from input name. Values off the input grid are rounded to it, with a warning.
            tensor: name of a tensor in the ONNX file; the model's outputs when None.
            progress: called with the events that are done and all of them, from time to time.

        Returns:
            The tensor, float64 `[B, ...]` (int64 for coordinates and places of maxima); or the output as float32, a
            tuple where there are several. A pending divisor is divided here, in float64.

        Raises:
            InputDataError: input of the wrong shape, or a tensor that the firmware does not have.
        """
        if tensor is not None:
            return self.predict_tensors(x, [tensor], progress)[tensor]
        found = self._simulate(x, self.graph.outputs, progress)
        results = tuple(_as_onnx(values) for values in found)
        return results[0] if len(results) == 1 else results

    def predict_tensors(
        self, x: Array | Mapping[str, Array], tensors: Iterable[str], progress: Progress | None = None
    ) -> dict[str, Array]:
        """Several tensors of the same events, by name; see `predict`."""
        names = list(tensors)
        return dict(zip(names, self._simulate(x, [self._tensor(name) for name in names], progress), strict=True))

    def trace(self, x: Array | Mapping[str, Array], progress: Progress | None = None) -> dict[str, Array]:
        """Every tensor that the firmware holds, by its name in the ONNX file, inputs included; see `predict`."""
        return self.predict_tensors(x, self.tensors, progress)

    def _tensor(self, name: str) -> Tensor:
        if name in self.tensors:
            return self.tensors[name]
        if name in self.values:
            return self.values[name]
        allowed = ", ".join(self.tensors)
        if name in self.graph.fused:
            raise InputDataError(f"tensor {name!r}", f"was fused into {self.graph.fused[name]!r}", allowed=allowed)
        raise InputDataError(f"tensor {name!r}", "is not in the firmware", allowed=allowed)

    def _simulate(
        self, x: Array | Mapping[str, Array], wanted: Sequence[Tensor], progress: Progress | None = None
    ) -> list[Array]:
        inputs = self._inputs(x)
        if self._library is None:
            self.compile()
        assert self._library is not None
        events = len(next(iter(inputs.values())))
        per_event = sum(t.size for t in (*self.graph.inputs, *wanted))
        step = max(1, _BATCH_VALUES // per_event)
        identifiers = {t.identifier for t in wanted}
        parts, changed = [], 0
        for start in range(0, max(events, 1), step):
            batch = {name: values[start : start + step] for name, values in inputs.items()}
            found, n = self._library.run(batch, identifiers)
            parts.append(found)
            changed += n
            if progress is not None:
                progress(min(start + step, events), events)
        if changed:
            grids = ", ".join(f"{t.name!r}: {t.cpp_type}" for t in self.graph.inputs)
            problem = f"{changed} input values are not on the input grid ({grids}) and were rounded to it"
            warnings.warn(problem, OffGridWarning, stacklevel=3)
        return [_values(t, np.concatenate([part[t.identifier] for part in parts])) for t in wanted]

    def _inputs(self, x: Array | Mapping[str, Array]) -> dict[str, Array]:
        expected = self.graph.inputs
        if not isinstance(x, Mapping):
            x = {expected[0].name: x} if len(expected) == 1 else {}
        if set(x) != {t.name for t in expected}:
            raise InputDataError("x", f"gives the inputs {sorted(x)}", allowed=", ".join(t.name for t in expected))
        checked: dict[str, Array] = {}
        for tensor in expected:
            values = np.asarray(x[tensor.name])
            shape = ", ".join(["B", *map(str, tensor.shape)])
            if values.dtype.kind not in "fiub" or values.shape[1:] != tensor.shape or values.ndim == 0:
                raise InputDataError(
                    f"input {tensor.name!r}", f"is {values.dtype} {list(values.shape)}", allowed=f"numbers [{shape}]"
                )
            checked[tensor.name] = values
        if len({len(v) for v in checked.values()}) > 1:
            raise InputDataError("x", "has inputs with different numbers of events", allowed="the same for all")
        return checked

    # ---- what it costs ----------------------------------------------------------------------------------------------

    def census(self) -> Census:
        """Count what every layer instantiates: multipliers, selectors, adders, registers, without a synthesis tool.

        Raises:
            ToolError: no compiler.
            UnsupportedNodeError, ModelFileError: a kernel that cannot be recorded, or a netlist that is too large.
            OutputPathError: the disk is full.
        """
        return take_census(self.graph)

    # ---- synthesis --------------------------------------------------------------------------------------------------

    def build(
        self,
        steps: Sequence[str] = ("csim", "synth"),
        log: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> SynthesisReport:
        """Run the synthesis tool and read its reports.

        Args:
            steps: some of `csim`, `synth`, `cosim`, `export`.
            log: called with each line of the tool's output.
            timeout: seconds after which it is stopped.

        Raises:
            ToolError: the tool is not installed, fails or takes too long.
            OutputPathError: the project was replaced by another, or the tool runs in it already.
        """
        with working_in(self.folder, self._manifest):
            run_tool(self.tool, self.folder, steps, log, timeout)
        return self.report() if "synth" in steps else SynthesisReport()

    def report(self) -> SynthesisReport:
        """Figures of the synthesis reports, with hls4ml's key names; `.rows` for pandas, `.table` for a terminal.

        Raises:
            ToolError: there is no report yet.
        """
        layers = {layer.config_name: layer.node for layer in self.graph.layers}
        return read_reports(self.folder, self.graph.top, layers)


def _values(tensor: Tensor, stored: Array) -> Array:
    """Arrays of the firmware as the graph's tensors."""
    shaped = stored.reshape(len(stored), *tensor.shape)
    if tensor.is_integer:
        return shaped.astype(np.int64)
    return shaped / tensor.divisor if tensor.divisor != 1 else shaped


def _as_onnx(values: Array) -> Array:
    return values if values.dtype == np.int64 else values.astype(np.float32)
