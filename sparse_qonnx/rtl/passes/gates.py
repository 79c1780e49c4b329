"""Chains of AND, OR and XOR as trees."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from sparse_qonnx.rtl.builder import Builder
from sparse_qonnx.rtl.netlist import Layer, Node, Op
from sparse_qonnx.rtl.passes.depths import Depths
from sparse_qonnx.rtl.rebuild import only_users, rebuild
from sparse_qonnx.rtl.recurrences import NONE, recurrences

_GATES = frozenset({Op.AND, Op.OR, Op.XOR})


def balance_gates(layer: Layer) -> Layer:
    """Trees that join first what is there first; what the gate itself gave one trip earlier comes last."""
    users, loops = only_users(layer), recurrences(layer)
    depths: list[Depths] = []

    def is_inner(i: int) -> bool:
        """Whether a larger chain takes it in."""
        node, user = layer.nodes[i], users[i]
        return (
            node.op in _GATES
            and user is not None
            and layer.nodes[user].op is node.op
            and layer.nodes[user].nest == node.nest
        )

    def leaves(i: int) -> list[int]:
        found, todo = [], list(layer.nodes[i].args)
        while todo:
            a = todo.pop()
            if is_inner(a) and layer.nodes[a].op is layer.nodes[i].op:
                todo.extend(layer.nodes[a].args)
            else:
                found.append(a)
        return found

    def maker(b: Builder, i: int, node: Node, made: Sequence[int]) -> int | None:
        if node.op not in _GATES or is_inner(i):
            return None
        own = leaves(i)
        if len(own) < 3:
            return None
        if not depths:
            depths.append(Depths(b))
        is_late = [loops[a] != NONE and loops[a] == loops[i] for a in own]
        groups = [[made[a] for a, late in zip(own, is_late, strict=True) if late == which] for which in (False, True)]
        trees = [_joined(b, depths[0], node.op, group) for group in groups if group]
        return trees[0] if len(trees) == 1 else b.make(node.op, trees)

    return rebuild(layer, maker)


def _joined(b: Builder, depths: Depths, op: Op, operands: list[int]) -> int:
    """One node of many operands."""
    heap = [(depths.level(a), a) for a in operands]
    heapq.heapify(heap)
    while len(heap) > 1:
        (_, x), (_, y) = heapq.heappop(heap), heapq.heappop(heap)
        node = b.make(op, (x, y))
        heapq.heappush(heap, (depths.level(node), node))
    return heap[0][1]
