"""A project in Verilog: the verbs of an HLS project, simulating the hardware itself and synthesizing it with yosys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from onnx import ModelProto

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.hls import testbench
from sparse_qonnx.hls.balance import Choices
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.folder import MANIFEST, Files, manifest, working_in
from sparse_qonnx.hls.project import HlsProject
from sparse_qonnx.hls.templates import render
from sparse_qonnx.hls.typed import Tensor, TypedGraph
from sparse_qonnx.rtl.bench import bench_files
from sparse_qonnx.rtl.design import Design, make_design
from sparse_qonnx.rtl.library import RtlLibrary
from sparse_qonnx.rtl.report import RtlReport
from sparse_qonnx.rtl.simulate import Integers, Simulator, Timing, build_library, find_simulator
from sparse_qonnx.rtl.synthesis import Part, read_result, synthesize
from sparse_qonnx.system.locks import locked

Array = NDArray[Any]
STEPS = ("synth",)
CONTROL = "control and arrays held longer"
"""The row of the module that connects the layers."""


class VerilogProject(HlsProject):
    """A written project in Verilog; see `HlsProject` for the arguments.

    Args:
        design: what was written.
    """

    simulation = "RTL"

    def __init__(
        self,
        folder: Path,
        graph: TypedGraph,
        config: HlsConfig,
        choices: Choices,
        manifest: bytes,
        design: Design,
    ) -> None:
        super().__init__(folder, graph, config, choices, manifest)
        self.design = design

    @classmethod
    def write(
        cls, model: ModelProto, choices: Choices, config: HlsConfig
    ) -> tuple[Files, Callable[[Path], VerilogProject]]:
        """The files of a project, and the project once they are in a folder."""
        graph = choices.graph
        design = make_design(graph, config)
        files = project_files(model, graph, config, design)
        return files, lambda folder: cls(folder, graph, config, choices, files[MANIFEST], design)

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Tensors that the simulation can give, by their name in the ONNX file."""
        held = {t.identifier for t in self.graph.inputs}
        held |= {t.identifier for la in self.graph.layers if not la.trace_only for t in la.outputs}
        return {name: t for name, t in self.graph.views.items() if t.identifier in held}

    # ---- simulation -------------------------------------------------------------------------------------------------

    def compile(self, simulator: Simulator | None = None) -> Path:
        """Compile the simulation: Verilator where it is installed, else CXXRTL; used again as long as nothing changes.

        Args:
            simulator: another one than that.

        Returns:
            The shared library.

        Raises:
            ToolError: no simulator, no compiler, or one of them fails.
            OutputPathError: the project was replaced by another, or the disk is full.
        """
        chosen = find_simulator() if simulator is None else simulator
        top = self.design.top_name
        with working_in(self.folder, self._manifest):
            rtl = self.folder / "rtl"
            sources = [*(rtl / f"{m.name}.v" for m in self.design.modules.values()), self.folder / "sim" / f"{top}.v"]
            ports = [bus.tensor for bus in self.design.inputs]
            probes = [probe.port for probe in self.design.top.probes.values()]
            path = build_library(chosen, sources, top, ports, probes, self.folder / "build")
            self._library = RtlLibrary(path, self.graph, self.design)
        return path

    def simulate(
        self,
        x: Array | Mapping[str, Array],
        tensors: Sequence[str] = (),
        gaps: Integers | None = None,
        restarts: Integers | None = None,
    ) -> tuple[dict[str, Array], Timing]:
        """Tensors of events that come with pauses, and with resets on their way.

        Args:
            x: `[B, ...]`, or a mapping from input name.
            tensors: names in the ONNX file; the outputs where there are none.
            gaps: cycles of pause before each event.
            restarts: for each event, the cycle after its begin in which the design is reset and the event given again;
                -1 for none.

        Returns:
            By name, numerators where a divisor is pending; and when events were offered and answered.
        """
        inputs = self._inputs(x)
        if self._library is None:
            self.compile()
        assert isinstance(self._library, RtlLibrary)
        wanted = [self._tensor(name) for name in tensors] or list(self.graph.outputs)
        found, _, timing = self._library.run_timed(inputs, {t.identifier for t in wanted}, gaps, restarts)
        return {t.name: found[t.identifier].reshape(-1, *t.shape) for t in wanted}, timing

    @cached_property
    def timing(self) -> Timing:
        """Latency and interval in cycles, measured: events one after the other as close as the design takes them."""
        events = testbench.random_events(self.graph, 4)
        return self.simulate(events)[1]

    def describe(self) -> str:
        """One sentence: for what it is made, and how."""
        return f"{super().describe()}; {self.design.clock.describe()}"

    # ---- synthesis --------------------------------------------------------------------------------------------------

    def build(
        self,
        steps: Sequence[str] = STEPS,
        log: Callable[[str], None] | None = None,
        timeout: float | None = None,
        dsp: bool = False,
        bram: bool = False,
    ) -> RtlReport:
        """Synthesize with yosys, every layer by itself.

        Args:
            steps: `synth`.
            log: called with each line of its output.
            timeout: seconds after which it is stopped.
            dsp: products of two variables may become DSPs.
            bram: tables may become block RAM.

        Raises:
            ConfigurationError: an unknown step, or a part that yosys does not know.
            ToolError: yosys is not installed, fails or takes too long.
            OutputPathError: the project was replaced by another, or is built already.
        """
        for step in steps:
            if step not in STEPS:
                raise ConfigurationError("build", f"unknown step {step!r}", allowed=", ".join(STEPS))
        with (
            working_in(self.folder, self._manifest),
            locked(self.folder / "vivado.tcl", f"synthesis in {str(self.folder)!r}"),
        ):
            synthesize(self.folder, self._parts(), self.design.clock, dsp=dsp, bram=bram, log=log, timeout=timeout)
        return self.report()

    def report(self) -> RtlReport:
        """Figures of the synthesis, per layer and in total; `.rows` for pandas, `.table` for a terminal.

        Raises:
            ToolError: there is no report yet, or it is of another design.
        """
        content = read_result(self.folder, [part.source for part in self._parts()])
        return RtlReport.of(content["rows"], {"dsp": content["dsp"], "bram": content["bram"]})

    def _parts(self) -> list[Part]:
        rtl = self.folder / "rtl"
        nodes = {layer.config_name: layer.node for layer in self.graph.layers}
        parts = []
        for plan in self.design.plan.layers:
            module = self.design.modules.get(plan.layer.name)
            if module is not None:
                levels = max((a.level for a in plan.stages.arrivals), default=0.0)
                parts.append(Part(nodes[plan.layer.name], module.name, rtl / f"{module.name}.v", stated=levels))
        others = tuple(part.source for part in parts)
        top = self.design.top_name
        return [*parts, Part(CONTROL, top, rtl / f"{top}.v", others)]


def project_files(model: ModelProto, graph: TypedGraph, config: HlsConfig, design: Design) -> Files:
    """Every file of a project by its path; the same model and options give the same bytes."""
    values = {
        "TOP": graph.top,
        "PART": config.part,
        "CLOCK_PERIOD": f"{float(config.clock_period):g}",
        "FAMILY": design.clock.family.yosys or "xcup",
    }
    texts = {
        **{f"rtl/{module.name}.v": module.text for module in design.modules.values()},
        f"rtl/{graph.top}.v": design.top.text,
        f"sim/{graph.top}.v": design.top.traced_text,
        "Makefile": render("rtl/Makefile.in", **values),
        "vivado.tcl": render("rtl/vivado.tcl", **values),
        f"{graph.top}.xdc": render("rtl/clock.xdc", **values),
        **bench_files(graph, model, design, config.test_events),
    }
    files = {name: text.encode() for name, text in texts.items()}
    files[MANIFEST] = manifest(model, config, [*files, MANIFEST])
    return files
