"""Chains of additions as trees, and no wrapping on the way where the sum is wrapped at its end."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from sparse_qonnx.rtl.builder import Builder
from sparse_qonnx.rtl.netlist import Layer, Node, Op, width_of
from sparse_qonnx.rtl.passes.depths import Depths
from sparse_qonnx.rtl.rebuild import only_users, rebuild
from sparse_qonnx.rtl.recurrences import NONE, recurrences

_SUMS = frozenset({Op.ADD, Op.SUB})
_LINEAR = frozenset({*_SUMS, Op.WRAP, Op.SHL})


@dataclass(frozen=True, slots=True)
class _Term:
    """`sign * node * 2^shift`."""

    node: int
    shift: int
    sign: int


def balance_sums(layer: Layer) -> Layer:
    """Trees that add first what is there first; what the sum itself gave one trip earlier comes last.

    A sum that is wrapped to W bits, or known to fit W bits, needs W bits of every term: wrapping in between is dropped
    where it keeps as many.
    """
    return rebuild(layer, _Sums(layer).make)


class _Sums:
    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._users = only_users(layer)
        self._loops = recurrences(layer)
        self._depths: Depths | None = None

    def make(self, b: Builder, i: int, node: Node, made: Sequence[int]) -> int | None:
        """A whole sum in place of its last addition."""
        is_root = node.op in _SUMS or (node.op is Op.WRAP and self._layer.nodes[node.args[0]].op in _SUMS)
        if not is_root or self._is_inner(i):
            return None
        width = node.param[0] if node.op is Op.WRAP else width_of(min(node.lo, -1), node.hi)
        terms, constant = self._terms(i, width)
        if len(terms) + (constant != 0) < 3:
            return None
        if self._depths is None:
            self._depths = Depths(b)
        groups: list[list[_Term]] = [[], []]
        for t in terms:
            is_late = self._loops[t.node] != NONE and self._loops[t.node] == self._loops[i]
            groups[is_late].append(_Term(made[t.node], t.shift, t.sign))
        if constant:
            groups[0].append(_Term(b.const(abs(constant)), 0, 1 if constant > 0 else -1))
        trees = [self._added(b, group, width) for group in groups if group]
        total = trees[0] if len(trees) == 1 else _sum(b, trees[0], trees[1], width)
        result = b.make(Op.SHL, (total.node,), (total.shift,)) if total.shift else total.node
        if total.sign < 0:
            result = b.make(Op.SUB, (b.const(0), result))
        return b.make(Op.WRAP, (result,), (width,), bounds=(node.lo, node.hi))

    # ---- taking a sum apart -----------------------------------------------------------------------------------------

    def _is_inner(self, i: int) -> bool:
        """Whether it may be taken into a larger sum."""
        user = self._users[i]
        if user is None or self._layer.nodes[user].nest != self._layer.nodes[i].nest:
            return False
        op = self._layer.nodes[user].op
        if op is Op.SHL or op is Op.WRAP:
            return self._is_inner(user) or (op is Op.WRAP and self._layer.nodes[i].op in _SUMS)
        return op in _SUMS

    def _terms(self, root: int, width: int) -> tuple[list[_Term], int]:
        terms: list[_Term] = []
        constant = 0
        todo = [(root, 0, 1, True)]
        while todo:
            i, shift, sign, is_open = todo.pop()
            node = self._layer.nodes[i]
            if node.op is Op.CONST:
                constant += sign * (node.lo << shift)
            elif node.op in _SUMS and is_open:
                x, y = node.args
                todo.append((x, shift, sign, self._is_inner(x)))
                todo.append((y, shift, sign if node.op is Op.ADD else -sign, self._is_inner(y)))
            elif node.op is Op.SHL:
                todo.append((node.args[0], shift + node.param[0], sign, is_open and self._is_inner(node.args[0])))
            elif node.op is Op.WRAP and is_open and node.param[0] + shift >= width:
                todo.append((node.args[0], shift, sign, self._users[node.args[0]] is not None))
            else:
                terms.append(_Term(i, shift, sign))
        return terms, constant

    # ---- putting it together ----------------------------------------------------------------------------------------

    def _added(self, b: Builder, terms: list[_Term], width: int) -> _Term:
        heap = [self._entry(b, term) for term in terms]
        heapq.heapify(heap)
        while len(heap) > 1:
            x, y = heapq.heappop(heap)[-1], heapq.heappop(heap)[-1]
            heapq.heappush(heap, self._entry(b, _sum(b, x, y, width)))
        return heap[0][-1]

    def _entry(self, b: Builder, term: _Term) -> tuple[float, int, int, int, _Term]:
        """The earliest first; of these the narrowest, so that numbers of like width meet."""
        assert self._depths is not None
        width = b.nodes[term.node].width + term.shift
        return self._depths.level(term.node), width, term.node, term.sign * (term.shift + 1), term


def _sum(b: Builder, x: _Term, y: _Term, width: int) -> _Term:
    down = min(x.shift, y.shift)
    first, second = (b.make(Op.SHL, (t.node,), (t.shift - down,)) if t.shift > down else t.node for t in (x, y))
    if x.sign == y.sign:
        node, sign = b.make(Op.ADD, (first, second)), x.sign
    else:
        node, sign = b.make(Op.SUB, (first, second) if x.sign > 0 else (second, first)), 1
    if b.nodes[node].width > width - down > 0:
        node = b.make(Op.WRAP, (node,), (width - down,))
    return _Term(node, down, sign)
