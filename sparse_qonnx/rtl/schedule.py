"""The static schedule: in which cycle after an event began every loop starts and every value is there.

Everything takes a known number of cycles, so an event needs no handshake on its way. A value outside of a loop is
there for a *window* of cycles; the same value of the next event is there `interval` cycles later. What is read before
its window opens makes the reader start later; what is read after it closes is held in a register until then: so an
array is there twice only where two events meet in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sparse_qonnx.rtl.delay import Arrival
from sparse_qonnx.rtl.netlist import STATIC, Layer, Netlist, Op
from sparse_qonnx.rtl.stages import Stages, find_stages, word_stage
from sparse_qonnx.rtl.trips import Trips

Element = tuple[str, int]
"""Tensor and index."""
ALWAYS = 1 << 40


@dataclass(frozen=True, slots=True)
class Window:
    """A value in a register or on wires.

    Attributes:
        first, last: cycles in which it is there.
        level: levels between the last registers and it.
        taken: the cycle at whose end a register takes it; None where it needs none of its own.
    """

    first: int
    last: int
    level: float = 0.0
    taken: int | None = None

    def held(self, at: int, interval: int) -> Window:
        """The same value in a register that takes it at the end of cycle `at`."""
        return Window(at + 1, at + interval, taken=at)


@dataclass
class LayerPlan:
    """Where and when everything in a layer happens.

    Attributes:
        layer: the layer.
        trips, stages: what is known of its loops.
        starts: by nest, the cycle of its first trip.
        sources: window of each input that is read, by port.
        holds: windows of registers that hold the last value of a loop's register longer, one after the other, by LAST
            node.
        windows: by node outside of loops.
        delays: registers between a node outside of loops and its operands, by node and place, where there are any.
        needs: first and last cycle in which each node outside of loops is read.
    """

    layer: Layer
    trips: Trips
    stages: Stages
    starts: list[int] = field(default_factory=list)
    sources: dict[int, Window] = field(default_factory=dict)
    holds: dict[int, list[Window]] = field(default_factory=dict)
    windows: dict[int, Window] = field(default_factory=dict)
    delays: dict[tuple[int, int], int] = field(default_factory=dict)
    needs: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.register_nodes = self.layer.register_nodes()

    def is_alias(self, node: int) -> bool:
        """Whether an output is an input as it is."""
        return self.layer.nodes[node].op is Op.INPUT

    @property
    def is_empty(self) -> bool:
        """Whether all of its outputs are wires."""
        return all(self.is_alias(port.node) for port in self.layer.outputs) and not self.layer.words


@dataclass
class Plan:
    """The schedule of a netlist.

    Attributes:
        layers: in the order of the netlist.
        interval: cycles from one event to the next.
        latency: cycle in which all outputs are there.
        ready: last cycle in which the inputs are read.
        elements: windows of every array element: as it is made, then of the registers that hold it longer.
        aliases: elements that are others as they are.
        outputs: windows of the outputs' elements in which they are shown.
    """

    layers: list[LayerPlan]
    interval: int
    latency: int = 0
    ready: int = 0
    elements: dict[Element, list[Window]] = field(default_factory=dict)
    aliases: dict[Element, Element] = field(default_factory=dict)
    outputs: dict[Element, Window] = field(default_factory=dict)


class _LongerError(Exception):
    """A value is read for longer than an interval."""


def make_plan(netlist: Netlist, inputs: Iterable[Element], outputs: Iterable[Element], limit: float) -> Plan:
    """The schedule.

    Args:
        netlist: all layers, cleaned up.
        inputs: elements that are given from outside.
        outputs: elements that are shown outside.
        limit: levels between two registers.
    """
    given, shown = list(inputs), list(outputs)
    layers = _staged(netlist, given, limit)
    interval = max((_needed_interval(plan) for plan in layers), default=1)
    while True:
        try:
            return _Scheduler(layers, given, shown, interval).run()
        except _LongerError as longer:
            interval = longer.args[0]


def _staged(netlist: Netlist, inputs: Sequence[Element], limit: float) -> list[LayerPlan]:
    levels: dict[Element, float] = dict.fromkeys(inputs, 0.0)
    plans = []
    for layer in netlist.layers:
        trips = Trips(layer)
        given = [Arrival(levels.get((p.tensor, p.index), 0.0)) for p in layer.inputs]
        stages = find_stages(layer, trips, given, limit)
        plans.append(LayerPlan(layer, trips, stages))
        levels.update({(p.tensor, p.index): stages.arrivals[p.node].level for p in layer.outputs})
    return plans


def _needed_interval(plan: LayerPlan) -> int:
    """A register that begins anew shows its last value for a cycle at least, where somebody reads it."""
    layer = plan.layer
    read = {node.param[0] for node in layer.nodes if node.op is Op.LAST}
    shown = {r.nest for n, r in enumerate(layer.registers) if n in read and r.reset is not None}
    cycles = [plan.stages.interval[k] * nest.n_trips + (k in shown) for k, nest in enumerate(layer.nests)]
    return max(cycles, default=1)


class _Scheduler:
    def __init__(self, layers: list[LayerPlan], inputs: list[Element], outputs: list[Element], interval: int) -> None:
        self._plan = Plan(layers, interval)
        self._inputs, self._outputs = inputs, outputs
        self._elements = self._plan.elements
        self._elements.update({e: [Window(0, interval - 1)] for e in inputs})

    def run(self) -> Plan:
        plan = self._plan
        for layer in plan.layers:
            self._place(layer)
        firsts = [self._elements[self.source(e)][0] for e in self._outputs]
        plan.latency = max((w.first for w in firsts if w.first > -ALWAYS), default=0)
        for element in self._outputs:
            plan.outputs[element] = self._covering(self.source(element), plan.latency, plan.latency)
        plan.ready = self._last_read()
        return plan

    def source(self, element: Element) -> Element:
        """The element that an alias is."""
        while element in self._plan.aliases:
            element = self._plan.aliases[element]
        return element

    def _last_read(self) -> int:
        """When inputs are read for the last time, also by wires that go through several layers."""
        plan, last = self._plan, dict[Element, int]()

        def read(element: Element, window: Window, cycle: int) -> None:
            if window.taken is None:
                last[element] = max(last.get(element, 0), cycle)

        for element, windows in plan.elements.items():
            for k, window in enumerate(windows):
                if window.taken is not None:
                    read(element, holder(windows[:k], window.taken), window.taken)
        for element in self._outputs:
            read(self.source(element), plan.outputs[element], plan.latency)
        for layer in reversed(plan.layers):
            for i, cycle in _last_needs(layer, last).items():
                node = layer.layer.nodes[i]
                if node.op is Op.INPUT:
                    port = layer.layer.inputs[node.param[0]]
                    read(self.source((port.tensor, port.index)), layer.sources[node.param[0]], cycle)
        return max((last.get(element, 0) for element in self._inputs), default=0)

    # ---- one layer --------------------------------------------------------------------------------------------------

    def _place(self, plan: LayerPlan) -> None:
        layer = plan.layer
        for node in layer.nodes:
            if node.op is Op.INPUT:
                port = layer.inputs[node.param[0]]
                plan.sources[node.param[0]] = self._elements[self.source((port.tensor, port.index))][0]
        plan.holds = {}
        while True:
            LayerTimes(plan, self._plan.interval).find()
            if not self._hold_longer(plan):
                break
        for port in layer.outputs:
            element = (port.tensor, port.index)
            if plan.is_alias(port.node):
                source = layer.inputs[layer.nodes[port.node].param[0]]
                self._plan.aliases[element] = self.source((source.tensor, source.index))
            else:
                self._elements[element] = [replace(plan.windows[port.node], taken=None)]  # held inside, if at all

    def _hold_longer(self, plan: LayerPlan) -> bool:
        """Registers for what is read after its window has closed; whether there are more than before."""
        changed = False
        for i, node in enumerate(plan.layer.nodes):
            if node.op not in (Op.INPUT, Op.LAST) or i not in plan.needs:
                continue
            first, last = plan.needs[i]
            if last <= plan.windows[i].last:
                continue
            if last - first >= self._plan.interval:
                raise _LongerError(last - first + 1)
            changed = True
            if node.op is Op.INPUT:
                port = plan.layer.inputs[node.param[0]]
                element = self.source((port.tensor, port.index))
                plan.sources[node.param[0]] = self._covering(element, first, last)
            else:
                plan.holds.setdefault(i, []).append(_later(plan.windows[i], first, self._plan.interval))
        return changed

    def _covering(self, element: Element, first: int, last: int) -> Window:
        """A window of the element that holds these cycles, or will where the reader starts a little later."""
        found = self._elements[element]
        for window in found:
            if window.first <= first and last <= window.last:
                return window
        window = max((w for w in found if w.first <= first), key=lambda w: w.last, default=found[0])
        while window.last < last:
            window = _later(window, first, self._plan.interval)
            found.append(window)
        return window


def holder(windows: Sequence[Window], cycle: int) -> Window:
    """The first of some windows of a value that is open in a cycle."""
    return next(w for w in windows if w.first <= cycle <= w.last)


def _last_needs(plan: LayerPlan, read: Mapping[Element, int]) -> dict[int, int]:
    """By node outside of loops: the last cycle in which something reads it, in the layer or behind its outputs."""
    last = {i: need[1] for i, need in plan.needs.items()}
    for port in plan.layer.outputs:
        window = plan.windows[port.node]
        # Somebody looks at every array in a simulation.
        cycle = max(read.get((port.tensor, port.index), 0), window.first)
        last[port.node] = max(last.get(port.node, 0), cycle)
    for i in reversed(range(len(plan.layer.nodes))):
        node = plan.layer.nodes[i]
        if node.nest == STATIC and i in last:
            for place, a in enumerate(node.args):
                last[a] = max(last.get(a, 0), last[i] - plan.delays.get((i, place), 0))
    return last


def _later(window: Window, first: int, interval: int) -> Window:
    """Held for as long as may be, but taken before it is read first."""
    return window.held(max(min(window.last, first - 1), window.first), interval)


class LayerTimes:
    """Windows, starts and needs of a layer whose sources are known.

    Args:
        plan: of the layer; its results are written there.
        interval: cycles between two events.
    """

    def __init__(self, plan: LayerPlan, interval: int) -> None:
        self._plan, self._interval = plan, interval
        self._layer, self._stages = plan.layer, plan.stages
        self._reads = list(_body_reads(plan))

    def find(self) -> None:
        """Starts of the nests in their order, windows on the way, then what is read when."""
        plan = self._plan
        plan.starts, plan.windows, plan.delays, plan.needs = [], {}, {}, {}
        for nest in range(len(self._layer.nests)):
            self._find_windows(nest)
            plan.starts.append(self._start(nest))
        self._find_windows(len(self._layer.nests))
        self._find_needs()

    def _find_windows(self, n_started: int) -> None:
        """Windows of what depends on the nests that have a start."""
        windows = self._plan.windows
        for i, node in enumerate(self._layer.nodes):
            if node.nest != STATIC or i in windows:
                continue
            if node.op is Op.CONST:
                windows[i] = Window(-ALWAYS, ALWAYS)
            elif node.op is Op.INPUT:
                windows[i] = self._plan.sources[node.param[0]]
            elif node.op is Op.LAST:
                if self._layer.registers[node.param[0]].nest < n_started:
                    windows[i] = self._plan.holds[i][-1] if i in self._plan.holds else self._last(node.param[0])
            elif all(a in windows for a in node.args):
                windows[i] = self._joined(i)

    def _joined(self, i: int) -> Window:
        """Operands that are there together; an early one that does not wait so long is delayed."""
        args = self._layer.nodes[i].args
        known = [self._plan.windows[a] for a in args]
        delays = [int(self._stages.is_latched[a]) for a in args]
        first = max(w.first + d for w, d in zip(known, delays, strict=True))
        for place, window in enumerate(known):
            delays[place] += max(0, first - window.last - delays[place])
            if delays[place]:
                self._plan.delays[i, place] = delays[place]
        last = min(w.last + d for w, d in zip(known, delays, strict=True))
        return Window(first, last, self._stages.arrivals[i].level)

    def _last(self, number: int) -> Window:
        """When a register holds what the last trip left: until the next event's loop begins or writes it."""
        register = self._layer.registers[number]
        cycles = self._stages.interval[register.nest]
        begin = self._plan.starts[register.nest] + self._register_stage(number)
        first, last = self._plan.trips.changes(number)
        end = begin + self._interval - 1
        if register.reset is None:
            end += cycles * (first + 1)
        return Window(begin + cycles * (last + 1), end)

    def _register_stage(self, number: int) -> int:
        return register_stage(self._plan, number)

    def _start(self, nest: int) -> int:
        """As early as everything that is read is there."""
        start = 1
        for of_nest, node, first, _ in self._reads:
            if of_nest == nest:
                window = self._plan.windows[node]
                start = max(start, window.first + self._stages.is_latched[node] - first)
        return start

    def _find_needs(self) -> None:
        needs, starts = self._plan.needs, self._plan.starts
        for nest, node, first, last in self._reads:
            late = int(self._stages.is_latched[node])
            _need(needs, node, starts[nest] + first - late, starts[nest] + last - late)
        for i in reversed(range(len(self._layer.nodes))):
            if self._layer.nodes[i].nest == STATIC and i in needs:
                for place, a in enumerate(self._layer.nodes[i].args):
                    late = self._plan.delays.get((i, place), 0)
                    _need(needs, a, needs[i][0] - late, needs[i][1] - late)


def _need(needs: dict[int, tuple[int, int]], node: int, first: int, last: int) -> None:
    known = needs.get(node, (first, last))
    needs[node] = min(first, known[0]), max(last, known[1])


def register_stage(plan: LayerPlan, number: int) -> int:
    """The stage at which a register stands, whether its loop reads it or not."""
    layer, stages = plan.layer, plan.stages
    node = plan.register_nodes.get(number)
    if node is not None:
        return stages.stage[node]
    register = layer.registers[number]
    return max(0, stages.stage[register.next] + 1 - stages.interval[register.nest])


def _body_reads(plan: LayerPlan) -> Iterable[tuple[int, int, int, int]]:
    """What loops read from outside: nest, node, first and last cycle after the nest's start."""
    layer, stages = plan.layer, plan.stages

    def is_outside(a: int) -> bool:
        return layer.nodes[a].nest == STATIC and layer.nodes[a].op is not Op.CONST

    for i, node in enumerate(layer.nodes):
        if node.nest == STATIC or not any(is_outside(a) for a in node.args):
            continue
        cycles, stage = stages.interval[node.nest], stages.stage[i]
        for a, first, last in plan.trips.reads(i):
            if is_outside(a):
                yield node.nest, a, stage + cycles * first, stage + cycles * last
    for number, register in enumerate(layer.registers):
        cycles, stage = stages.interval[register.nest], register_stage(plan, number)
        last_trip = layer.nests[register.nest].n_trips - 1
        if register.reset is not None and is_outside(register.reset):
            yield register.nest, register.reset, stage - 1, stage - 1
        if is_outside(register.next):
            yield register.nest, register.next, stage + cycles - 1, stage + cycles * (last_trip + 1) - 1
    for word in layer.words:
        cycles, stage = stages.interval[word.nest], word_stage(stages, word)
        for value in (word.enable, *word.values):
            if is_outside(value):
                yield word.nest, value, stage, stage + cycles * (layer.nests[word.nest].n_trips - 1)
