"""Pipelining: the stage of every node of a loop's body, so that no path between two registers is too long.

A trip begins every `interval` cycles; a node of stage s works on trip t in cycle interval * t + s after the loop began.
A register at stage s holds what a trip gives to the next one in the cycles between, so what depends on itself has to
close in `interval` cycles: one, unless it is too long for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sparse_qonnx.rtl.delay import AT_ONCE, Arrival, arrival
from sparse_qonnx.rtl.netlist import STATIC, Layer, Op, Word
from sparse_qonnx.rtl.recurrences import components, is_recurrence
from sparse_qonnx.rtl.trips import Trips

LARGEST_INTERVAL = 8


@dataclass
class Stages:
    """Where every node of a layer stands.

    Attributes:
        stage: by node of a loop; 0 for others.
        arrivals: levels behind the last registers, by node.
        is_control: nodes that depend on counters only: made again in every stage that wants them.
        is_latched: nodes outside of loops that a register stands behind, for those that read them.
        interval: by nest, cycles from one trip to the next.
        longest: by nest, levels of its longest path.
    """

    stage: list[int]
    arrivals: list[Arrival]
    is_control: list[bool]
    is_latched: list[bool]
    interval: list[int]
    longest: list[float] = field(default_factory=list)


def find_stages(layer: Layer, trips: Trips, given: Sequence[Arrival], limit: float) -> Stages:
    """Stages as early as can be, then what is cheap to have late moved to where it is wanted.

    Args:
        layer: whose loops.
        trips: what is known of them.
        given: levels of the inputs, by port.
        limit: levels between two registers.
    """
    return _Stager(layer, trips, given, limit).run()


def word_stage(stages: Stages, word: Word) -> int:
    """The stage in which a word is taken or given."""
    found = (word.enable, *word.values)
    return max(stages.stage[i] for i in found)


class _Stager:
    def __init__(self, layer: Layer, trips: Trips, given: Sequence[Arrival], limit: float) -> None:
        n = len(layer.nodes)
        self._layer, self._limit = layer, limit
        self._result = Stages(
            [0] * n,
            [AT_ONCE] * n,
            [trips.is_control(i) for i in range(n)],
            [False] * n,
            [x.interval for x in layer.nests],
        )
        self._given = given

    def run(self) -> Stages:
        for members in components(self._layer):
            node = self._layer.nodes[members[0]]
            if node.nest == STATIC:
                self._place_static(members[0])
            elif self._result.is_control[members[0]]:
                self._result.arrivals[members[0]] = self._arrival(members[0], 0, {})
            elif is_recurrence(self._layer, members):
                self._place_recurrence(members, node.nest)
            else:
                self._place(members[0], node.nest)
        self._sink()
        self._measure()
        return self._result

    # ---- one node ---------------------------------------------------------------------------------------------------

    def _place_static(self, i: int) -> None:
        node, result = self._layer.nodes[i], self._result
        if node.op is Op.INPUT:
            result.arrivals[i] = self._given[node.param[0]]
        if not node.args:
            return
        found = self._arrival(i, 0, {})
        if found.level > self._limit:
            for a in node.args:
                result.is_latched[a] = result.is_latched[a] or result.arrivals[a].level > 0
            found = self._arrival(i, 0, {})
        result.arrivals[i] = found

    def _place(self, i: int, nest: int) -> None:
        node, result = self._layer.nodes[i], self._result
        if node.op is Op.REG:
            after = result.stage[self._layer.registers[node.param[0]].next]
            result.stage[i] = max(0, after + 1 - result.interval[nest])
            return
        if node.op is Op.LANE:
            result.stage[i] = result.stage[self._layer.words[node.param[0]].enable]
            return
        stage = self._latest(node.args)
        found = self._arrival(i, stage, {})
        if found.level > self._limit:
            stage += any(result.stage[a] == stage and result.arrivals[a].level > 0 for a in self._moving(node.args))
            self._latch(node.args)
            found = self._arrival(i, stage, {})
        result.stage[i], result.arrivals[i] = stage, found

    def _moving(self, args: Iterable[int]) -> list[int]:
        """Operands that have a stage of their own."""
        return [a for a in args if self._layer.nodes[a].nest != STATIC and not self._result.is_control[a]]

    def _latest(self, args: Iterable[int]) -> int:
        return max((self._result.stage[a] for a in self._moving(args)), default=0)

    def _latch(self, args: Iterable[int]) -> None:
        for a in args:
            if self._layer.nodes[a].nest == STATIC and self._result.arrivals[a].level > 0:
                self._result.is_latched[a] = True

    def _arrival(self, i: int, stage: int, inside: dict[int, tuple[int, Arrival]]) -> Arrival:
        """When a node is there in a stage; `inside` are nodes whose stage is not decided yet."""
        node, result = self._layer.nodes[i], self._result
        if not node.args:
            return AT_ONCE
        seen = []
        for a in node.args:
            at, found = inside.get(a, (result.stage[a], result.arrivals[a]))
            is_registered = result.is_latched[a]
            if self._layer.nodes[a].nest != STATIC and not result.is_control[a]:
                is_registered = at < stage
            seen.append(AT_ONCE if is_registered else found)
        return arrival(node, [self._layer.nodes[a] for a in node.args], seen)

    # ---- what depends on itself -------------------------------------------------------------------------------------

    def _place_recurrence(self, members: list[int], nest: int) -> None:
        result = self._result
        own = set(members)
        outside = [a for i in members for a in self._layer.nodes[i].args if a not in own]
        first = self._latest(outside)
        for cycles in range(result.interval[nest], LARGEST_INTERVAL + 1):
            for stage in (first, first + 1):
                if stage > first:
                    self._latch(outside)
                placed = self._fitted(members, stage, cycles)
                if placed is not None:
                    self._settle(placed, nest, cycles)
                    return
        placed = self._fitted(members, first + 1, 1, is_forced=True)
        assert placed is not None
        self._settle(placed, nest, result.interval[nest])

    def _settle(self, placed: dict[int, tuple[int, Arrival]], nest: int, cycles: int) -> None:
        self._result.interval[nest] = cycles
        for i, (stage, found) in placed.items():
            self._result.stage[i], self._result.arrivals[i] = stage, found

    def _fitted(
        self, members: list[int], first: int, cycles: int, is_forced: bool = False
    ) -> dict[int, tuple[int, Arrival]] | None:
        """The members in the stages first .. first + cycles - 1; None where they do not fit."""
        placed: dict[int, tuple[int, Arrival]] = {}
        for i in members:
            node = self._layer.nodes[i]
            if node.op is Op.REG:
                placed[i] = (first, AT_ONCE)
                continue
            if node.op is Op.LANE:
                placed[i] = (placed[self._layer.words[node.param[0]].enable][0], AT_ONCE)
                continue
            stage = max([first, *(placed[a][0] for a in node.args if a in placed)])
            found = self._arrival(i, stage, placed)
            if found.level > self._limit and not is_forced:
                stage += 1
                found = self._arrival(i, stage, placed)
                if stage >= first + cycles or found.level > self._limit:
                    return None
            placed[i] = (stage, found)
        return placed

    # ---- afterwards -------------------------------------------------------------------------------------------------

    def _sink(self) -> None:
        """What reads counters and inputs only costs nothing to have later: to the stage before the first that wants it.

        Otherwise its result waits in registers from stage to stage.
        """
        layer, result = self._layer, self._result
        wanted: dict[int, int] = {}
        for i, node in enumerate(layer.nodes):
            if node.nest != STATIC and not result.is_control[i]:
                for a in node.args:
                    wanted[a] = min(wanted.get(a, result.stage[i]), result.stage[i])
        for register in layer.registers:
            at = result.stage[register.next]
            wanted[register.next] = min(wanted.get(register.next, at), at)
        for word in layer.words:
            at = word_stage(result, word)
            for value in (word.enable, *word.values):
                wanted[value] = min(wanted.get(value, at), at)
        for i in reversed(range(len(layer.nodes))):
            node = layer.nodes[i]
            is_free = node.nest != STATIC and not result.is_control[i] and node.args and not self._moving(node.args)
            if is_free and i in wanted and wanted[i] - 1 > result.stage[i]:
                result.stage[i] = wanted[i] - 1

    def _measure(self) -> None:
        layer, result = self._layer, self._result
        for nest in range(len(layer.nests)):
            levels = [result.arrivals[i].level for i, node in enumerate(layer.nodes) if node.nest == nest]
            result.longest.append(max(levels, default=0.0))
