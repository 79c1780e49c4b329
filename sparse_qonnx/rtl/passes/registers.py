"""Registers that always hold the same become one; those that never change become what they begin with."""

from __future__ import annotations

from dataclasses import replace

from sparse_qonnx.rtl.netlist import Layer, Node, Op
from sparse_qonnx.rtl.rebuild import rebuild


def merge_registers(layer: Layer) -> Layer:
    """One register for all that are equal.

    Those that begin alike are taken for equal until what they take shows that they are not; what is left at the end is
    equal in every trip.
    """
    if not layer.registers:
        return layer
    # Without a reset a register may begin with anything: each is a class of its own.
    groups = _classes(
        [(r.nest, r.lo, r.hi, -1 - n if r.reset is None else r.reset) for n, r in enumerate(layer.registers)]
    )
    while True:
        next_ids = _next_ids(layer, _firsts(groups))
        split = _classes([(group, next_ids[n]) for n, group in enumerate(groups)])
        if len(set(split)) == len(set(groups)):
            break
        groups = split
    return rebuild(_merged(layer, groups))


def _classes(keys: list[tuple[int, ...]]) -> list[int]:
    numbers: dict[tuple[int, ...], int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys]


def _firsts(groups: list[int]) -> list[int]:
    """By register: the first one that is equal."""
    first: dict[int, int] = {}
    return [first.setdefault(group, n) for n, group in enumerate(groups)]


def _next_ids(layer: Layer, first: list[int]) -> list[int]:
    """What each register takes, as a number that is equal for equal nodes, if equal registers are equal."""
    known: dict[tuple[object, ...], int] = {}
    ids: list[int] = []
    for node in layer.nodes:
        param = (first[node.param[0]],) if node.op in (Op.REG, Op.LAST) else node.param
        key = (node.op, tuple(ids[a] for a in node.args), param, node.nest, node.lo if node.op is Op.CONST else 0)
        ids.append(known.setdefault(key, len(known)))
    return [ids[r.next] for r in layer.registers]


def _merged(layer: Layer, groups: list[int]) -> Layer:
    first = _firsts(groups)

    def merged(node: Node) -> Node:
        if node.op not in (Op.REG, Op.LAST):
            return node
        number = first[node.param[0]]
        register = layer.registers[number]
        taken = layer.nodes[register.next]
        if register.reset is not None and taken.op is Op.REG and first[taken.param[0]] == number:
            reset = layer.nodes[register.reset]
            if reset.op is Op.CONST:
                return reset
        return replace(node, param=(number,))

    return replace(layer, nodes=[merged(node) for node in layer.nodes])
