"""Registers as narrow as what they ever hold, inputs as what they are ever given."""

from __future__ import annotations

from dataclasses import replace

from sparse_qonnx.rtl.netlist import Layer, Node, Op
from sparse_qonnx.rtl.rebuild import rebuild
from sparse_qonnx.rtl.semantics import Interval, interval

_TRIES = 4
"""Times that a register's interval may grow before it gets all that its type holds."""


Spans = dict[tuple[str, int], Interval]
"""Intervals of array elements."""


def narrow_inputs(layer: Layer, known: Spans) -> Layer:
    """Inputs as narrow as what the layers before give; what is always the same is a constant."""

    def narrowed(node: Node) -> Node:
        if node.op is not Op.INPUT:
            return node
        port = layer.inputs[node.param[0]]
        lo, hi = known.get((port.tensor, port.index), (node.lo, node.hi))
        lo, hi = max(lo, node.lo), min(hi, node.hi)
        return Node(Op.CONST, (), lo, hi) if lo == hi else replace(node, lo=lo, hi=hi)

    return replace(layer, nodes=[narrowed(node) for node in layer.nodes])


def output_spans(layer: Layer) -> Spans:
    """What a layer's outputs can be."""
    return {(p.tensor, p.index): (layer.nodes[p.node].lo, layer.nodes[p.node].hi) for p in layer.outputs}


def narrow_registers(layer: Layer) -> Layer:
    """Intervals of registers from what they begin with and what they take, until nothing grows."""
    if not layer.registers:
        return layer
    limits = [(r.lo, r.hi) for r in layer.registers]
    spans = [_begin(layer, n) for n in range(len(limits))]
    grown = [0] * len(limits)
    while True:
        nodes = _intervals(layer, spans)
        joined = [
            _join(span, nodes[r.next], limit) for span, r, limit in zip(spans, layer.registers, limits, strict=True)
        ]
        changed = [n for n, span in enumerate(joined) if span != spans[n]]
        if not changed:
            break
        for n in changed:
            grown[n] += 1
            spans[n] = limits[n] if grown[n] > _TRIES else joined[n]
    return rebuild(_with(layer, spans))


def _begin(layer: Layer, number: int) -> Interval:
    reset = layer.registers[number].reset
    return (0, 0) if reset is None else (layer.nodes[reset].lo, layer.nodes[reset].hi)


def _join(a: Interval, b: Interval, limit: Interval) -> Interval:
    return max(min(a[0], b[0]), limit[0]), min(max(a[1], b[1]), limit[1])


def _intervals(layer: Layer, registers: list[Interval]) -> list[Interval]:
    found: list[Interval] = []
    for node in layer.nodes:
        if node.op in (Op.REG, Op.LAST):
            found.append(registers[node.param[0]])
        elif not node.args:
            found.append((node.lo, node.hi))
        else:
            lo, hi = interval(node.op, [found[a] for a in node.args], node.param, layer.tables)
            found.append((max(lo, node.lo), min(hi, node.hi)))
    return found


def _with(layer: Layer, spans: list[Interval]) -> Layer:
    def narrowed(node: Node) -> Node:
        if node.op not in (Op.REG, Op.LAST):
            return node
        lo, hi = spans[node.param[0]]
        return replace(node, lo=lo, hi=hi)

    registers = [replace(r, lo=lo, hi=hi) for r, (lo, hi) in zip(layer.registers, spans, strict=True)]
    return replace(layer, nodes=[narrowed(node) for node in layer.nodes], registers=registers)
