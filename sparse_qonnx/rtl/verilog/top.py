"""The module that connects the layers: when each starts, what is held longer, and valid and ready at its ports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sparse_qonnx.rtl.netlist import Netlist
from sparse_qonnx.rtl.schedule import Element, Plan, Window, holder
from sparse_qonnx.rtl.verilog.layer import Module
from sparse_qonnx.rtl.verilog.names import Names
from sparse_qonnx.rtl.verilog.text import INDENT, Bits, Signal, concatenated, constant, declare, unused_lines


@dataclass(frozen=True)
class Bus:
    """A port of the design: an array, element 0 in the lowest bits."""

    tensor: str
    size: int
    width: int

    @property
    def bits(self) -> int:
        """Of the whole array."""
        return self.size * self.width


@dataclass
class Probe:
    """Where a simulation reads an array: a port, and by element its lowest bit and the cycle of an event to read it."""

    port: str
    bits: int
    places: list[int] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)


@dataclass
class Top:
    """The text of the top module, and of the one that shows every array, with what these show."""

    text: str
    traced_text: str
    probes: dict[str, Probe]


def write_top(
    plan: Plan, modules: Sequence[Module | None], name: str, inputs: Sequence[Bus], outputs: Sequence[Bus]
) -> Top:
    """Both modules.

    Args:
        plan: the schedule.
        modules: by layer; None where a layer is wires only.
        name: of the module.
        inputs: ports for events.
        outputs: ports for results.
    """
    plain = _Writer(plan, modules, name, inputs, outputs, is_traced=False)
    traced = _Writer(plan, modules, name, inputs, outputs, is_traced=True)
    return Top(plain.write(), traced.write(), traced.probes)


class _Writer:
    def __init__(
        self,
        plan: Plan,
        modules: Sequence[Module | None],
        name: str,
        inputs: Sequence[Bus],
        outputs: Sequence[Bus],
        is_traced: bool,
    ) -> None:
        self._plan, self._modules, self._name = plan, modules, name
        self._inputs, self._outputs, self._is_traced = inputs, outputs, is_traced
        fixed = ("clk", "rst", "valid_in", "ready_in", "valid_out", "go", "wait_cycles", "cycle", name)
        self._names = Names(fixed)
        self._places: dict[tuple[Element, Window], tuple[str, int]] = {}
        self._widths = {(p.tensor, p.index): p.width for layer in plan.layers for p in layer.layer.outputs}
        self._widths |= {(b.tensor, i): b.width for b in inputs for i in range(b.size)}
        self._signed = {(p.tensor, p.index) for layer in plan.layers for p in layer.layer.outputs if p.is_signed}
        self._signed |= {(p.tensor, p.index) for layer in plan.layers for p in layer.layer.inputs if p.is_signed}
        self._sizes: dict[str, int] = {}
        self._bits = Bits()
        self._last_pulse = 0
        self.probes: dict[str, Probe] = {}

    def write(self) -> str:
        in_names = [self._names(b.tensor) for b in self._inputs]
        out_names = [self._names(b.tensor) for b in self._outputs]
        for bus, name in zip(self._inputs, in_names, strict=True):
            self._sizes[name] = bus.bits
            for i in range(bus.size):
                self._places[(bus.tensor, i), self._plan.elements[bus.tensor, i][0]] = (name, i * bus.width)
        tensors = self._name_tensors()
        holds = self._write_holds()
        layers = [line for n, m in enumerate(self._modules) if m is not None for line in self._instance(n, m)]
        shown = []
        for bus, name in zip(self._outputs, out_names, strict=True):
            elements = [(bus.tensor, i) for i in range(bus.size)]
            windows = [self._plan.outputs[e] for e in elements]
            shown += self._assign(name, elements, windows, [bus.width] * bus.size)
        traces = self._write_traces(dict(zip((b.tensor for b in self._outputs), out_names, strict=True)))
        control = self._control()
        ports = [declare("input wire", n, 1) for n in ("clk", "rst", "valid_in")] + [
            declare("output wire", "ready_in", 1)
        ]
        ports += [declare("input wire", n, b.bits) for n, b in zip(in_names, self._inputs, strict=True)]
        ports += [declare("output wire", "valid_out", 1)]
        ports += [declare("output wire", n, b.bits) for n, b in zip(out_names, self._outputs, strict=True)]
        if self._is_traced:
            ports.append(declare("output wire", self._names("trace_go"), 1))
            shown.append("assign trace_go = go;")
            ports += [declare("output wire", p.port, p.bits) for p in self.probes.values() if p.port not in out_names]
        body = [*control, *tensors, *holds, *layers, *traces, *shown]
        body += unused_lines(self._bits.unused(Signal(n, width) for n, width in self._sizes.items()))
        head = [f"module {self._name} (", *(f"{INDENT}{p}," for p in ports[:-1]), INDENT + ports[-1], ");"]
        comment = (
            f"// An event every {self._plan.interval} cycles, its outputs {self._plan.latency} cycles after it came."
        )
        comments = [comment, "// Inputs stay from valid_in to ready_in; outputs are there in the cycle of valid_out."]
        return "\n".join([*comments, *head, *(INDENT + line for line in body), "endmodule", ""])

    # ---- arrays -----------------------------------------------------------------------------------------------------

    def _name_tensors(self) -> list[str]:
        lines = []
        self._wires: dict[tuple[int, str], str] = {}
        for n, (plan, module) in enumerate(zip(self._plan.layers, self._modules, strict=True)):
            for port, numbers in module.outputs.items() if module is not None else ():
                outputs = [plan.layer.outputs[k] for k in numbers]
                wire = self._names(f"{port}_wires" if port in {b.tensor for b in self._outputs} else port)
                self._wires[n, port] = wire
                self._sizes[wire] = sum(p.width for p in outputs)
                lines.append(declare("wire", wire, self._sizes[wire]) + ";")
                low = 0
                for p in outputs:
                    element = (p.tensor, p.index)
                    self._places[element, self._plan.elements[element][0]] = (wire, low)
                    low += p.width
        return lines

    def _write_holds(self) -> list[str]:
        groups: dict[tuple[str, int], list[tuple[Element, Window, Window]]] = defaultdict(list)
        for element, windows in self._plan.elements.items():
            for k, window in enumerate(windows):
                if window.taken is not None:
                    source = holder(windows[:k], window.taken)
                    groups[element[0], window.taken].append((element, window, source))
        lines = []
        for (tensor, taken), members in sorted(groups.items(), key=lambda g: (g[0][1], g[0][0])):
            name = self._names(f"{tensor}_at_{taken}")
            low = 0
            for element, window, _ in members:
                self._places[element, window] = (name, low)
                low += self._widths[element]
            self._sizes[name] = low
            lines.append(declare("reg", name, low) + ";")
            elements = [element for element, _, _ in members]
            value = self._bus(elements, [s for _, _, s in members], [self._widths[e] for e in elements])
            first, *rest = concatenated(value)
            lines += [f"always @(posedge clk) if ({self._pulse(taken)}) {name} <= {first}", *rest]
            lines[-1] += ";"
        return lines

    def _source(self, element: Element) -> Element:
        while element in self._plan.aliases:
            element = self._plan.aliases[element]
        return element

    def _bus(self, elements: Sequence[Element], windows: Sequence[Window], widths: Sequence[int]) -> list[str]:
        """Parts of other buses that make a bus, neighbours together; an alias may be of another width."""
        runs: list[tuple[str, int, int]] = []
        for element, window, width in zip(elements, windows, widths, strict=True):
            source = self._source(element)
            name, low = self._places[source, window]
            own = min(width, self._widths[source])
            if runs and runs[-1][0] == name and runs[-1][1] + runs[-1][2] == low:
                runs[-1] = (name, runs[-1][1], runs[-1][2] + own)
            else:
                runs.append((name, low, own))
            if own < width:
                sign = self._part(name, low + own - 1, 1) if source in self._signed else ""
                runs.append((f"{{{width - own}{{{sign}}}}}" if sign else constant(0, width - own), -1, 0))
        return [self._part(*run) if run[2] else run[0] for run in runs]

    def _part(self, name: str, low: int, width: int) -> str:
        return self._bits.part(Signal(name, self._sizes[name]), low, width)

    def _assign(
        self, name: str, elements: Sequence[Element], windows: Sequence[Window], widths: Sequence[int]
    ) -> list[str]:
        first, *rest = concatenated(self._bus(elements, windows, widths))
        lines = [f"assign {name} = {first}", *rest]
        lines[-1] += ";"
        return lines

    def _instance(self, number: int, module: Module) -> list[str]:
        plan = self._plan.layers[number]
        pins = [f".{name}({name})" for name in ("clk",) * module.is_clocked + ("rst",) * module.has_reset]
        pins += [f".{port}({self._pulse(cycle)})" for port, cycle in module.pulses.items()]
        lines: list[str] = []
        for port, numbers in module.inputs.items():
            ports = [plan.layer.inputs[n] for n in numbers]
            elements = [(p.tensor, p.index) for p in ports]
            parts = self._bus(elements, [plan.sources[n] for n in numbers], [p.width for p in ports])
            first, *rest = concatenated(parts)
            if rest:
                wire = self._names(f"{port}_of_{module.name}")
                lines += [declare("wire", wire, sum(p.width for p in ports)) + f" = {first}", *rest]
                lines[-1] += ";"
                first = wire
            pins.append(f".{port}({first})")
        pins += [f".{port}({self._wires[number, port]})" for port in module.outputs]
        name = self._names(f"{module.name}_instance")
        return [*lines, f"{module.name} {name} (", *(f"{INDENT}{p}," for p in pins[:-1]), INDENT + pins[-1], ");"]

    # ---- control ----------------------------------------------------------------------------------------------------

    def _pulse(self, cycle: int) -> str:
        """Whether an event is in this cycle."""
        self._last_pulse = max(self._last_pulse, cycle)
        return "go" if cycle == 0 else f"cycle[{cycle}]"

    def _control(self) -> list[str]:
        """`cycle[n]`: an event began n cycles ago."""
        gap = self._plan.interval - 1
        ready, valid = self._pulse(self._plan.ready), self._pulse(self._plan.latency)
        lines: list[str] = []
        if gap:
            width = gap.bit_length()
            idle = f"wait_cycles == {constant(0, width)}"
            lines += [declare("reg", "wait_cycles", width) + ";", f"wire go = valid_in && {idle} && !rst;"]
            lines += ["always @(posedge clk) begin", f"{INDENT}if (rst) wait_cycles <= {constant(0, width)};"]
            lines.append(f"{INDENT}else if (go) wait_cycles <= {constant(gap, width)};")
            lines.append(f"{INDENT}else if (!({idle})) wait_cycles <= wait_cycles - {constant(1, width)};")
            lines.append("end")
        else:
            lines.append("wire go = valid_in && !rst;")
        n = self._last_pulse
        if n:
            shifted = "go" if n == 1 else f"{{cycle[{n - 1}:1], go}}"
            lines += [
                f"reg [{n}:1] cycle;",
                "always @(posedge clk) begin",
                f"{INDENT}if (rst) cycle <= {constant(0, n)};",
            ]
            lines += [f"{INDENT}else cycle <= {shifted};", "end"]
        return [*lines, f"assign ready_in = {ready};", f"assign valid_out = {valid};"]

    # ---- what a simulation sees -------------------------------------------------------------------------------------

    def _write_traces(self, _: dict[str, str]) -> list[str]:
        lines: list[str] = []
        if not self._is_traced:
            return lines
        arrays: dict[str, list[Element]] = defaultdict(list)
        for plan in self._plan.layers:
            for port in plan.layer.outputs:
                arrays[port.tensor].append((port.tensor, port.index))
        for tensor, elements in arrays.items():
            windows = [self._plan.elements[self._source(e)][0] for e in elements]
            widths = [self._widths[e] for e in elements]
            probe = Probe(self._names(f"trace_{tensor}"), sum(widths))
            low = 0
            for window, width in zip(windows, widths, strict=True):
                probe.places.append(low)
                probe.cycles.append(max(window.first, 0))
                low += width
            self.probes[tensor] = probe
            lines += self._assign(probe.port, elements, windows, widths)
        return lines


def bus_of(netlist: Netlist, tensor: str) -> Bus:
    """The port of an array that layers read or write."""
    ports = [p for layer in netlist.layers for p in (*layer.inputs, *layer.outputs) if p.tensor == tensor]
    return Bus(tensor, 1 + max(p.index for p in ports), ports[0].width)
