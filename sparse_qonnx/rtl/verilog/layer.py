"""A layer as a Verilog module."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sparse_qonnx.rtl.netlist import STATIC, Node, Op, Port
from sparse_qonnx.rtl.rebuild import live_nodes
from sparse_qonnx.rtl.schedule import LayerPlan, register_stage
from sparse_qonnx.rtl.verilog.control import Delays, NestControl
from sparse_qonnx.rtl.verilog.expressions import expression
from sparse_qonnx.rtl.verilog.names import Names
from sparse_qonnx.rtl.verilog.text import INDENT, Bits, Signal, concatenated, declare, unused_lines


@dataclass
class Module:
    """A module's text and how it is connected.

    Attributes:
        name: of the module.
        text: the whole file.
        inputs: by port, the ports of the layer that it is made of, the lowest first.
        outputs: the same of outputs.
        pulses: by port, the cycle of the event in which it is 1.
        is_clocked: whether it has a clock.
        has_reset: whether it has a reset.
    """

    name: str
    text: str = ""
    inputs: dict[str, list[int]] = field(default_factory=dict)
    outputs: dict[str, list[int]] = field(default_factory=dict)
    pulses: dict[str, int] = field(default_factory=dict)
    is_clocked: bool = False
    has_reset: bool = False


def write_layer(plan: LayerPlan, name: str, title: str) -> Module:
    """The module of a layer.

    Args:
        plan: the layer and its schedule.
        name: of the module.
        title: what stands above it.
    """
    return _Writer(plan, name).write(title)


class _Writer:
    def __init__(self, plan: LayerPlan, name: str) -> None:
        self._plan, self._layer, self._stages = plan, plan.layer, plan.stages
        self._module = Module(name)
        self._names = Names(("clk", "rst", "unused", name))
        self._bits = Bits()
        self._delays = Delays(self._names)
        self._live, self._registers = live_nodes(self._layer)
        self._wires: list[str] = []
        self._seen: list[Signal] = []
        self._signals: dict[tuple[int, int], Signal] = {}
        self._inputs: list[Signal] = []
        self._outputs: list[Signal] = []

    def write(self, title: str) -> Module:
        module = self._module
        self._name_inputs()
        outputs = self._name_outputs()
        self._controls = [self._control(number) for number in range(len(self._layer.nests))]
        self._state = {
            n: Signal(self._names(f"r{n}"), (node := self._register_node(n)).width, node.is_signed)
            for n in sorted(self._registers)
        }
        self._held: dict[int, Signal] = {}
        self._hold_lines = self._write_holds()
        for i, node in enumerate(self._layer.nodes):
            if self._live[i] and node.args and not self._stages.is_control[i]:
                self._write_node(i, node)
        registers = self._write_registers()
        shown = self._write_outputs(outputs)
        control = [line for c in self._controls for line in c.lines(self._clocked)]
        body = [*control, *(INDENT * 0 + d for d in self._delays.declarations)]
        body += [declare("reg", s.name, s.width) + ";" for s in self._state.values()]
        body += [*self._wires, *self._hold_lines, *registers, *self._delay_lines(), *shown]
        module.is_clocked = bool(self._delays.declarations or self._state or self._controls or self._held)
        module.has_reset = bool(self._controls)
        signals = [*self._inputs, *self._seen, *self._state.values(), *self._delays.made]
        body += unused_lines(self._bits.unused(s for s in signals))
        module.text = "\n".join([*self._head(title), *(INDENT + b for b in body), "endmodule", ""])
        return module

    # ---- ports ------------------------------------------------------------------------------------------------------

    def _name_inputs(self) -> None:
        ports: dict[str, list[int]] = defaultdict(list)
        wanted = {self._layer.nodes[i].param[0]: i for i in self._read_inputs()}
        for number in sorted(wanted):
            ports[self._layer.inputs[number].tensor].append(number)
        for tensor, numbers in ports.items():
            name = self._names(tensor)
            self._module.inputs[name] = numbers
            bus = Signal(name, sum(self._layer.inputs[n].width for n in numbers))
            self._inputs.append(bus)
            low = 0
            for n in numbers:
                i, port = wanted[n], self._layer.inputs[n]
                node = self._layer.nodes[i]
                signal = Signal(self._names(f"n{i}"), node.width, node.is_signed)
                self._signals[i, 0] = signal
                self._seen.append(signal)
                self._wires.append(
                    f"{declare('wire', signal.name, signal.width)} = {self._bits.part(bus, low, node.width)};"
                )
                low += port.width

    def _read_inputs(self) -> list[int]:
        """INPUT nodes that something but an alias reads."""
        read = {a for i, node in enumerate(self._layer.nodes) if self._live[i] for a in node.args}
        read |= {root for n in self._registers for root in self._layer.register_roots(n)}
        read |= {value for word in self._layer.words for value in (word.enable, *word.values)}
        return [i for i in sorted(read) if self._layer.nodes[i].op is Op.INPUT]

    def _name_outputs(self) -> dict[str, list[int]]:
        ports: dict[str, list[int]] = defaultdict(list)
        for number, port in enumerate(self._layer.outputs):
            if not self._plan.is_alias(port.node):
                ports[port.tensor].append(number)
        for tensor, numbers in ports.items():
            name = self._names(tensor)
            self._module.outputs[name] = numbers
            self._outputs.append(Signal(name, sum(self._layer.outputs[n].width for n in numbers)))
        return ports

    def _write_outputs(self, _: dict[str, list[int]]) -> list[str]:
        lines = []
        for name, numbers in self._module.outputs.items():
            parts = [self._shown(self._layer.outputs[n]) for n in numbers]
            first, *rest = concatenated(parts)
            lines += [f"assign {name} = {first}", *rest]
            lines[-1] += ";"
        return lines

    def _shown(self, port: Port) -> str:
        return self._bits.whole(self._value(port.node, 0), port.width)

    def _control(self, number: int) -> NestControl:
        start = Signal(self._names(f"start_{number}"), 1)
        self._module.pulses[start.name] = self._plan.starts[number] - 1
        nest, cycles = self._layer.nests[number], self._stages.interval[number]
        return NestControl(number, nest, cycles, start, self._delays, self._names)

    # ---- values -----------------------------------------------------------------------------------------------------

    def _register_node(self, number: int) -> Node:
        register = self._layer.registers[number]
        return Node(Op.REG, (), register.lo, register.hi)

    def _value(self, i: int, late: int) -> Signal:
        """A node's signal, `late` cycles after it is there."""
        node = self._layer.nodes[i]
        if node.op is Op.CONST:
            return Signal("", node.width, node.is_signed, node.lo)
        if self._stages.is_control[i]:
            return self._control_value(i, late)
        if node.op is Op.REG or (node.op is Op.LAST and i not in self._held):
            signal = self._state[node.param[0]]
        else:
            signal = self._held[i] if node.op is Op.LAST else self._signals[i, 0]
        return self._delays.late(signal, late)

    def _control_value(self, i: int, stage: int) -> Signal:
        """A node of counters, made from the counters as they were `stage` cycles before."""
        node = self._layer.nodes[i]
        if node.op is Op.COUNTER:
            return self._controls[node.nest].counter(node.param[0], stage)
        if (i, stage) not in self._signals:
            args = [self._value(a, stage) for a in node.args]
            self._signals[i, stage] = self._wire(f"n{i}_{stage}", i, args)
        return self._signals[i, stage]

    def _wire(self, name: str, i: int, args: Sequence[Signal]) -> Signal:
        node = self._layer.nodes[i]
        signal = Signal(self._names(name), node.width, node.is_signed)
        operands = [self._layer.nodes[a] for a in node.args]
        table = self._layer.tables[node.param[0]] if node.op is Op.ROM else ()
        if node.op is Op.VSHR:
            text = self._shifted_right(signal, args)
        else:
            text = expression(self._bits, node, args, operands, table)
        self._seen.append(signal)
        self._wires.append(f"{declare('wire', signal.name, signal.width)} = {text};")
        return signal

    def _shifted_right(self, signal: Signal, args: Sequence[Signal]) -> str:
        """All bits are shifted, then those that are needed are taken."""
        value, distance = args
        moved = Signal(self._names(f"{signal.name}_all"), value.width, value.is_signed)
        whole, by = self._bits.whole(value, value.width), self._bits.whole(distance, distance.width)
        sign = f"$signed({whole}) >>> {by}" if value.is_signed else f"{whole} >> {by}"
        self._seen.append(moved)
        self._wires.append(f"{declare('wire', moved.name, moved.width)} = {sign};")
        return self._bits.whole(moved, signal.width)

    def _late_at(self, a: int, stage: int) -> int:
        """By how much an operand is delayed for a reader in a stage of a loop."""
        if self._layer.nodes[a].nest == STATIC:
            return int(self._stages.is_latched[a])
        return stage - self._stages.stage[a]

    def _write_node(self, i: int, node: Node) -> None:
        stage = self._stages.stage[i]
        args = []
        for place, a in enumerate(node.args):
            late = self._plan.delays.get((i, place), 0) if node.nest == STATIC else self._late_at(a, stage)
            args.append(self._value(a, late))
        self._signals[i, 0] = self._wire(f"n{i}", i, args)

    # ---- state ------------------------------------------------------------------------------------------------------

    def _write_registers(self) -> list[str]:
        groups: dict[tuple[int, int, bool], list[int]] = defaultdict(list)
        for n in sorted(self._registers):
            register = self._layer.registers[n]
            groups[register.nest, register_stage(self._plan, n), register.reset is not None].append(n)
        lines = []
        for (nest, stage, is_reset), members in groups.items():
            control, cycles = self._controls[nest], self._stages.interval[nest]
            body = []
            if is_reset:
                body.append(f"if ({self._bits.whole(control.starts(stage), 1)}) begin")
                for n in members:
                    reset = self._layer.registers[n].reset
                    assert reset is not None
                    value = self._value(reset, int(self._stages.is_latched[reset]))
                    body.append(INDENT + self._take(n, value))
                body.append("end else")
            at = stage + cycles - 1
            body.append(f"if ({self._bits.whole(control.steps(stage), 1)}) begin")
            for n in members:
                following = self._layer.registers[n].next
                late = at if self._stages.is_control[following] else self._late_at(following, at)
                body.append(INDENT + self._take(n, self._value(following, late)))
            lines += self._clocked([*body, "end"])
        return lines

    def _take(self, register: int, value: Signal) -> str:
        signal = self._state[register]
        return f"{signal.name} <= {self._bits.whole(value, signal.width)};"

    def _write_holds(self) -> list[str]:
        lines: list[str] = []
        for i, windows in self._plan.holds.items():
            signal = self._state[self._layer.nodes[i].param[0]]
            for window in windows:
                assert window.taken is not None
                held = Signal(self._names(f"{signal.name}_at_{window.taken}"), signal.width, signal.is_signed)
                pulse = self._names(f"take_{window.taken}")
                self._module.pulses[pulse] = window.taken
                lines.append(declare("reg", held.name, held.width) + ";")
                lines += self._clocked([f"if ({pulse}) {held.name} <= {self._bits.whole(signal, signal.width)};"])
                self._seen.append(held)
                signal = held
            self._held[i] = signal
        return lines

    def _delay_lines(self) -> list[str]:
        delays = self._delays
        lines = self._clocked(delays.takes) if delays.takes else []
        if delays.reset_takes:
            body = ["if (rst) begin", *(INDENT + r for r in delays.resets), "end else begin"]
            lines += self._clocked([*body, *(INDENT + t for t in delays.reset_takes), "end"])
        return lines

    def _clocked(self, body: Sequence[str]) -> list[str]:
        return ["always @(posedge clk) begin", *(INDENT + line for line in body), "end"]

    def _head(self, title: str) -> list[str]:
        module = self._module
        ports = [declare("input wire", name, 1) for name in ("clk", "rst") if self._has(name)]
        ports += [declare("input wire", name, 1) for name in module.pulses]
        ports += [declare("input wire", s.name, s.width) for s in self._inputs]
        ports += [declare("output wire", s.name, s.width) for s in self._outputs]
        return [
            f"// {title}",
            f"module {module.name} (",
            *(f"{INDENT}{p}," for p in ports[:-1]),
            INDENT + ports[-1],
            ");",
        ]

    def _has(self, name: str) -> bool:
        return self._module.is_clocked if name == "clk" else self._module.has_reset
