"""The netlist on integers, trip by trip: what the hardware computes, without a simulator and without C++."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.errors import NetlistError
from sparse_qonnx.rtl.netlist import STATIC, Layer, Netlist, Node, Op, width_of
from sparse_qonnx.rtl.semantics import Value, evaluate

Integers = NDArray[Any]
"""Of int64, or of Python integers."""
_NARROW = 60
"""Bits that int64 holds with room for a sum of two."""


def interpret(netlist: Netlist, inputs: Mapping[str, Integers], check: bool = False) -> dict[str, Integers]:
    """Run events through a netlist.

    Args:
        netlist: all layers.
        inputs: integers `[B, size]` of every array and stream that no layer writes.
        check: whether every value lies in its node's interval.

    Returns:
        Integers `[B, size]` of every array and stream, inputs included.

    Raises:
        NetlistError: `check` found a value outside of its interval.
    """
    values: dict[str, Integers] = dict(inputs)
    for layer in netlist.layers:
        values.update(_Run(layer, values, check).run())
    return values


class _Run:
    """One layer, one batch."""

    def __init__(self, layer: Layer, tensors: Mapping[str, Integers], check: bool) -> None:
        self._layer, self._check, self._tensors = layer, check, tensors
        self._events = len(next(iter(tensors.values())))
        self._values: list[Value] = [None] * len(layer.nodes)
        self._state: list[Value] = [None] * len(layer.registers)
        self._read = {s.name: np.zeros(self._events, dtype=np.int64) for s in layer.streams if s.is_input}
        self._given: dict[str, list[list[Value]]] = {s.name: [] for s in layer.streams if not s.is_input}
        self._trip: tuple[int, ...] = ()
        self._is_wide = [_is_wide(layer, node) for node in layer.nodes]

    def run(self) -> dict[str, Integers]:
        layer = self._layer
        phases = phases_of(layer)
        for phase in range(len(layer.nests) + 1):
            self._evaluate([i for i, p in enumerate(phases) if p == phase and layer.nodes[i].nest == STATIC])
            if phase < len(layer.nests):
                self._loop(phase)
        found: dict[str, Integers] = {}
        for tensor in dict.fromkeys(port.tensor for port in layer.outputs):
            columns = [self._array(self._values[p.node]) for p in layer.outputs if p.tensor == tensor]
            found[tensor] = np.stack(columns, axis=1)
        for name, words in self._given.items():
            found[name] = np.stack([self._array(v) for word in words for v in word], axis=1)
        return found

    def _array(self, value: Value) -> Integers:
        return np.broadcast_to(np.asarray(value), (self._events,))

    def _loop(self, nest: int) -> None:
        layer = self._layer
        body = [i for i, node in enumerate(layer.nodes) if node.nest == nest]
        own = [n for n, register in enumerate(layer.registers) if register.nest == nest]
        words = [n for n, word in enumerate(layer.words) if word.nest == nest]
        for n in own:
            register = layer.registers[n]
            anything = min(max(0, register.lo), register.hi)
            self._state[n] = anything if register.reset is None else self._values[register.reset]
        for trip in np.ndindex(*layer.nests[nest].trips):
            self._trip = trip
            self._evaluate(body)
            following = [self._values[layer.registers[n].next] for n in own]
            for n, value in zip(own, following, strict=True):
                self._state[n] = value
            for n in words:
                self._pass_word(n)

    def _pass_word(self, number: int) -> None:
        word = self._layer.words[number]
        enable = np.broadcast_to(self._values[word.enable], (self._events,))
        if word.stream in self._read:
            self._read[word.stream] = self._read[word.stream] + enable
        elif np.all(enable):
            self._given[word.stream].append([self._values[v] for v in word.values])
        elif np.any(enable):
            raise NetlistError(
                f"stream {word.stream!r}", "gives words at places that depend on data", fix="interpret one event"
            )

    def _lane(self, node: Node) -> Value:
        word = self._layer.words[node.param[0]]
        lanes = next(s.lanes for s in self._layer.streams if s.name == word.stream)
        data = self._tensors[word.stream]
        place = self._read[word.stream] * lanes + node.param[1]
        held = data[np.arange(self._events), np.minimum(place, data.shape[1] - 1)]
        return np.where(place < data.shape[1], held, 0) * self._values[word.enable]

    def _evaluate(self, ids: list[int]) -> None:
        layer, values = self._layer, self._values
        for i in ids:
            node = layer.nodes[i]
            if node.op in _SOURCES:
                value = _SOURCES[node.op](self, node)
            else:
                args = [values[a] for a in node.args]
                if self._is_wide[i]:
                    args = [a.astype(object) if isinstance(a, np.ndarray) else a for a in args]
                value = evaluate(node.op, args, node.param, layer.tables)
            if self._check and (np.any(value < node.lo) or np.any(value > node.hi)):
                span = f"{node.lo} .. {node.hi}"
                raise NetlistError(f"layer {layer.name!r}, node {i} ({node.op.value})", f"is {value}", allowed=span)
            values[i] = value

    def _constant(self, node: Node) -> Value:
        return node.lo

    def _counter(self, node: Node) -> Value:
        return self._trip[node.param[0]]

    def _input(self, node: Node) -> Value:
        port = self._layer.inputs[node.param[0]]
        return self._tensors[port.tensor][:, port.index]

    def _held(self, node: Node) -> Value:
        return self._state[node.param[0]]


_SOURCES = {
    Op.CONST: _Run._constant,
    Op.INPUT: _Run._input,
    Op.COUNTER: _Run._counter,
    Op.REG: _Run._held,
    Op.LAST: _Run._held,
    Op.LANE: _Run._lane,
}


def _is_wide(layer: Layer, node: Node) -> bool:
    """Whether int64 would not do, for it or on the way to it."""
    spans = [(node.lo, node.hi), *((layer.nodes[a].lo, layer.nodes[a].hi) for a in node.args)]
    bits = max(width_of(lo, hi) for lo, hi in spans)
    if node.op is Op.VSHL:
        bits = max(bits, width_of(*spans[1]) + spans[2][1])
    return bits > _NARROW


def phases_of(layer: Layer) -> list[int]:
    """Before which nest each node is there: 0 for what depends on inputs only."""
    phases: list[int] = []
    for node in layer.nodes:
        phase = max((phases[a] for a in node.args), default=0)
        if node.op is Op.LAST:
            phase = layer.registers[node.param[0]].nest + 1
        phases.append(max(phase, node.nest))
    return phases
