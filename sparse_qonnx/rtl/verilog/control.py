"""The control of a loop nest in Verilog: whether it runs, its counters, and when registers take something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sparse_qonnx.rtl.netlist import Nest
from sparse_qonnx.rtl.verilog.names import Names
from sparse_qonnx.rtl.verilog.text import Signal, constant, declare


@dataclass
class Delays:
    """Signals some cycles later, each register made once.

    Attributes:
        names: of the module.
        declarations: of the registers.
        takes: what they take, `name <= source`.
        resets: those that have to be 0 after a reset.
    """

    names: Names
    declarations: list[str] = field(default_factory=list)
    takes: list[str] = field(default_factory=list)
    resets: list[str] = field(default_factory=list)
    reset_takes: list[str] = field(default_factory=list)
    made: list[Signal] = field(default_factory=list)
    _chains: dict[str, list[Signal]] = field(default_factory=dict)

    def late(self, signal: Signal, cycles: int, is_control: bool = False) -> Signal:
        """The signal of `cycles` cycles before; of control, what is under way is forgotten by a reset."""
        if signal.value is not None or cycles == 0:
            return signal
        chain = self._chains.setdefault(signal.name, [signal])
        while len(chain) <= cycles:
            before = chain[-1]
            after = Signal(self.names(f"{signal.name}_d{len(chain)}"), signal.width, signal.is_signed)
            chain.append(after)
            self.made.append(after)
            self.declarations.append(declare("reg", after.name, after.width) + ";")
            take = f"{after.name} <= {before.name};"
            if is_control:
                self.resets.append(f"{after.name} <= {constant(0, after.width)};")
                self.reset_takes.append(take)
            else:
                self.takes.append(take)
        return chain[cycles]


class NestControl:
    """One nest.

    Args:
        number: of the nest.
        nest: its loops.
        cycles: from one trip to the next.
        start: pulse in the cycle before the first trip.
        delays: of the module.
        names: of the module.
    """

    def __init__(self, number: int, nest: Nest, cycles: int, start: Signal, delays: Delays, names: Names) -> None:
        self._nest, self._cycles, self.start, self._delays = nest, cycles, start, delays
        self._runs = Signal(names(f"running_{number}"), 1)
        self._phase = Signal(names(f"phase_{number}"), (cycles - 1).bit_length()) if cycles > 1 else None
        self.counters = [
            Signal(names(f"counter_{number}_{place}"), max((trips - 1).bit_length(), 1))
            for place, trips in enumerate(nest.trips)
        ]
        self._step = Signal(names(f"step_{number}"), 1) if cycles > 1 else self._runs
        self._first = Signal(names(f"begin_{number}"), 1) if cycles > 1 else self._runs
        self._uses_first = False

    def begins(self, stage: int) -> Signal:
        """Whether a trip begins in a stage."""
        self._uses_first = True
        return self._delays.late(self._first, stage, is_control=True)

    def steps(self, stage: int) -> Signal:
        """Whether a trip ends in a stage: registers take what follows."""
        return self._delays.late(self._step, stage, is_control=True)

    def starts(self, stage: int) -> Signal:
        """Whether the next cycle is the first trip's, in a stage: registers begin anew."""
        return self._delays.late(self.start, stage, is_control=True)

    def counter(self, place: int, stage: int) -> Signal:
        """A loop's counter."""
        return self._delays.late(self.counters[place], stage)

    def lines(self, clocked: Callable[[Sequence[str]], list[str]]) -> list[str]:
        """Declarations and the always block."""
        ends = " && ".join(
            f"{c.name} == {constant(trips - 1, c.width)}"
            for c, trips in zip(self.counters, self._nest.trips, strict=True)
        )
        lines = [declare("reg", c.name, c.width) + ";" for c in (self._runs, *self.counters)]
        step = self._step.name
        body = [f"if (rst) {self._runs.name} <= 1'b0;", f"else if ({self.start.name}) {self._runs.name} <= 1'b1;"]
        body.append(f"else if ({step} && {ends}) {self._runs.name} <= 1'b0;")
        if self._phase is not None:
            width, name = self._phase.width, self._phase.name
            last = constant(self._cycles - 1, width)
            lines.append(declare("reg", name, width) + ";")
            lines.append(f"wire {step} = {self._runs.name} && {name} == {last};")
            if self._uses_first:
                lines.append(f"wire {self._first.name} = {self._runs.name} && {name} == {constant(0, width)};")
            zero, one = constant(0, width), constant(1, width)
            body.append(f"if ({self.start.name} || {name} == {last}) {name} <= {zero}; else {name} <= {name} + {one};")
        body.append(f"if ({self.start.name}) begin")
        body += [f"    {c.name} <= {constant(0, c.width)};" for c in self.counters]
        body.append(f"end else if ({step}) begin")
        body += self._counting()
        body.append("end")
        return lines + clocked(body)

    def _counting(self) -> list[str]:
        """The innermost counts first; one that is at its end begins again and counts the next."""
        lines: list[str] = []
        pad = "    "
        loops = list(zip(self.counters, self._nest.trips, strict=True))[::-1]
        for n, (counter, trips) in enumerate(loops):
            at_end = f"{counter.name} == {constant(trips - 1, counter.width)}"
            one = f"{counter.name} <= {counter.name} + {constant(1, counter.width)};"
            zero = f"{counter.name} <= {constant(0, counter.width)};"
            if n + 1 == len(loops):
                lines.append(f"{pad}if ({at_end}) {zero} else {one}")
            else:
                lines += [f"{pad}if (!({at_end})) {one}", f"{pad}else begin", f"{pad}    {zero}"]
                pad += "    "
        return [*lines, *("    " * n + "end" for n in range(len(loops) - 1, 0, -1))]
