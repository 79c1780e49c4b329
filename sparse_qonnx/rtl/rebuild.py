"""Making a layer again from what is still needed of it: how every pass over a layer is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sparse_qonnx.rtl.builder import Builder
from sparse_qonnx.rtl.netlist import Layer, Node, Op

Maker = Callable[[Builder, int, Node, Sequence[int]], int | None]
"""Gives a node of the new layer for one of the old layer; None: the same operator. What became of earlier nodes is in
the sequence."""

_REGISTERS = frozenset({Op.REG, Op.LAST})


def live_nodes(layer: Layer) -> tuple[list[bool], set[int]]:
    """Which nodes and which registers something reads at last."""
    live = [False] * len(layer.nodes)
    registers: set[int] = set()
    todo = list(layer.roots())
    while todo:
        i = todo.pop()
        if live[i]:
            continue
        live[i] = True
        node = layer.nodes[i]
        todo.extend(node.args)
        if node.op in _REGISTERS and node.param[0] not in registers:
            registers.add(node.param[0])
            todo.extend(layer.register_roots(node.param[0]))
        elif node.op is Op.LANE:
            todo.append(layer.words[node.param[0]].enable)
    return live, registers


def use_counts(layer: Layer, live: Iterable[bool], registers: Iterable[int]) -> list[int]:
    """How often each node is read by live nodes, live registers, ports and words."""
    counts = [0] * len(layer.nodes)
    for node, is_live in zip(layer.nodes, live, strict=True):
        if is_live:
            for a in node.args:
                counts[a] += 1
    for root in layer.roots():
        counts[root] += 1
    for number in registers:
        for root in layer.register_roots(number):
            counts[root] += 1
    return counts


def rebuild(layer: Layer, maker: Maker | None = None) -> Layer:
    """The layer without what nobody reads, every node made again.

    Args:
        layer: what is made again.
        maker: what makes a node; the operator itself, simplified, where there is none.
    """
    live, registers = live_nodes(layer)
    order = sorted(registers)
    place = {old: new for new, old in enumerate(order)}
    builder = Builder(layer)
    made: list[int] = [-1] * len(layer.nodes)
    for i, node in enumerate(layer.nodes):
        if not live[i]:
            continue
        found = maker(builder, i, node, made) if maker is not None else None
        made[i] = _same(builder, layer, node, tuple(made[a] for a in node.args), place) if found is None else found
    result = builder.layer
    for old in order:
        register = layer.registers[old]
        reset = None if register.reset is None else made[register.reset]
        result.registers.append(replace(register, reset=reset, next=made[register.next]))
    result.outputs = [replace(port, node=made[port.node]) for port in layer.outputs]
    result.words = [
        replace(word, enable=made[word.enable], values=tuple(made[v] for v in word.values)) for word in layer.words
    ]
    return result


def _same(b: Builder, layer: Layer, node: Node, args: tuple[int, ...], registers: dict[int, int]) -> int:
    if node.op is Op.CONST:
        return b.const(node.lo)
    if node.op in _REGISTERS:
        return b.source(replace(node, param=(registers[node.param[0]],)))
    if not args:
        return b.source(node)
    if node.op is Op.ROM:
        return b.rom(args[0], layer.tables[node.param[0]], (node.lo, node.hi))
    return b.make(node.op, args, node.param, (node.lo, node.hi))


def only_users(layer: Layer) -> list[int | None]:
    """The node that reads each node, where that is the only thing that does."""
    live, registers = live_nodes(layer)
    counts = use_counts(layer, live, registers)
    users: list[int | None] = [None] * len(layer.nodes)
    for i, node in enumerate(layer.nodes):
        for a in node.args if live[i] else ():
            users[a] = i if counts[a] == 1 else None
    return users
