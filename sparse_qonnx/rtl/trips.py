"""What is known about the trips of a loop before any data is: values of counters, and when registers change."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.rtl.netlist import STATIC, Layer, Node, Op
from sparse_qonnx.rtl.rebuild import live_nodes
from sparse_qonnx.rtl.semantics import evaluate

Flags = NDArray[np.bool_]


class Trips:
    """A layer's loops, trip by trip.

    Args:
        layer: whose loops.
    """

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._values: list[NDArray[Any] | int | None] = []
        for node in layer.nodes:
            self._values.append(self._value(node))
        self._nodes = layer.register_nodes()
        self._uses = self._count_uses()

    def _value(self, node: Node) -> NDArray[Any] | int | None:
        if node.op is Op.CONST:
            return int(node.lo)
        if node.op is Op.COUNTER:
            nest = self._layer.nests[node.nest]
            counts: NDArray[Any] = np.indices(nest.trips)[node.param[0]].ravel()
            return counts
        if node.nest == STATIC or not node.args:
            return None
        args = [self._values[a] for a in node.args]
        if any(a is None for a in args):
            return None
        value: NDArray[Any] | int = evaluate(node.op, args, node.param, self._layer.tables)
        return value

    def _count_uses(self) -> dict[int, int]:
        live, registers = live_nodes(self._layer)
        counts = dict.fromkeys(range(len(self._layer.registers)), 0)
        of = {node: n for n, node in self._nodes.items()}
        for node, is_live in zip(self._layer.nodes, live, strict=True):
            for a in node.args if is_live else ():
                if a in of:
                    counts[of[a]] += 1
        for root in (*self._layer.roots(), *(r for n in registers for r in self._layer.register_roots(n))):
            if root in of:
                counts[of[root]] += 1
        return counts

    # ---- counters ---------------------------------------------------------------------------------------------------

    def by_trip(self, node: int) -> NDArray[Any] | None:
        """Values of a node of a loop that depends on counters only, one a trip."""
        value = self._values[node]
        return value if isinstance(value, np.ndarray) else None

    def is_control(self, node: int) -> bool:
        """Whether it depends on counters only, and is no constant."""
        return isinstance(self._values[node], np.ndarray)

    def reads(self, node: int) -> list[tuple[int, int, int]]:
        """Operands of a node of a loop with the first and the last trip in which they matter."""
        found = self._layer.nodes[node]
        last = self._layer.nests[found.nest].n_trips - 1
        chosen = self.by_trip(found.args[0]) if found.op in (Op.PICK, Op.MUX) else None
        if chosen is None:
            return [(a, 0, last) for a in found.args]
        spans: dict[int, tuple[int, int]] = {found.args[0]: (0, last)}
        entries = found.args[1:]
        for trip, value in enumerate(chosen):
            place = int(value) if found.op is Op.PICK else 1 - int(value)
            entry = entries[place if 0 <= place < len(entries) else 0]
            spans[entry] = spans[entry][0] if entry in spans else trip, trip
        return [(a, first, end) for a, (first, end) in spans.items()]

    # ---- registers --------------------------------------------------------------------------------------------------

    def is_rewritten(self, register: int) -> bool:
        """Whether some trip surely writes it, and nothing reads what it held before that but itself, to keep it."""
        holds, _, writes = self._next(register)
        return holds == self._uses[register] and bool(np.any(writes))

    def changes(self, register: int) -> tuple[int, int]:
        """The first and the last trip after which it can hold something else; (0, -1) where there is none."""
        _, keeps, _ = self._next(register)
        where = np.flatnonzero(~keeps)
        return (int(where[0]), int(where[-1])) if len(where) else (0, -1)

    def _next(self, register: int) -> tuple[int, Flags, Flags]:
        """How often the register is an operand that it keeps; in which trips it surely keeps or surely changes."""
        layer, own = self._layer, self._nodes.get(register, -1)
        n_trips = layer.nests[layer.registers[register].nest].n_trips
        all_trips = np.ones(n_trips, dtype=bool)
        holds = 0

        @cache
        def walk(i: int) -> tuple[bytes, bytes]:
            nonlocal holds
            node = layer.nodes[i]
            if node.op is not Op.MUX or node.nest == STATIC:
                return (~all_trips).tobytes(), all_trips.tobytes()
            sides = []
            for a in node.args[1:]:
                if a == own:
                    holds += 1
                    sides.append((all_trips, ~all_trips))
                else:
                    keeps, writes = walk(a)
                    sides.append((np.frombuffer(keeps, dtype=bool), np.frombuffer(writes, dtype=bool)))
            (keep_1, write_1), (keep_0, write_0) = sides
            condition = self.by_trip(node.args[0])
            if condition is None:
                return (keep_1 & keep_0).tobytes(), (write_1 & write_0).tobytes()
            taken = condition.astype(bool)
            return np.where(taken, keep_1, keep_0).tobytes(), np.where(taken, write_1, write_0).tobytes()

        if layer.registers[register].next == own:
            return 1, all_trips, ~all_trips
        keeps, writes = walk(layer.registers[register].next)
        return holds, np.frombuffer(keeps, dtype=bool), np.frombuffer(writes, dtype=bool)
