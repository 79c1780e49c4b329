"""Products of two variables as rows of one carry chain each.

Two digits of one operand at a time choose 0, 1, 2 or 3 times the other one: a table of five inputs, and with what was
added before it one of six, in front of the carry chain. The sign of a number is a digit of its own, taken away.
"""

from __future__ import annotations

from collections.abc import Sequence

from sparse_qonnx.rtl.builder import Builder
from sparse_qonnx.rtl.netlist import Layer, Node, Op
from sparse_qonnx.rtl.rebuild import rebuild


def add_rows(layer: Layer) -> Layer:
    """Without multipliers."""
    return rebuild(layer, _made)


def _made(b: Builder, _: int, node: Node, made: Sequence[int]) -> int | None:
    if node.op is not Op.MUL:
        return None
    first, second = made[node.args[0]], made[node.args[1]]
    if b.constant(first) is not None or b.constant(second) is not None:
        return None
    digits, other = sorted((first, second), key=lambda x: _n_rows(b.nodes[x]))
    total = _product(b, digits, other)
    return b.make(Op.WRAP, (total,), (b.nodes[total].width + 1,), bounds=(node.lo, node.hi))


def _n_rows(digits: Node) -> int:
    plain = digits.width - digits.is_signed
    return -(-plain // 2) + digits.is_signed


def _product(b: Builder, digits: int, other: int) -> int:
    node, zero = b.nodes[digits], b.const(0)
    plain = node.width - node.is_signed
    twice = b.make(Op.SHL, (other,), (1,))
    thrice = b.make(Op.ADD, (other, twice)) if plain > 1 else other
    total = zero
    for low in range(0, plain, 2):
        unit = b.make(Op.SLICE, (digits,), (low, 1))
        row = b.make(Op.MUX, (unit, other, zero))
        if low + 1 < plain:
            upper = b.make(Op.SLICE, (digits,), (low + 1, 1))
            row = b.make(Op.MUX, (upper, b.make(Op.MUX, (unit, thrice, twice)), row))
        total = b.make(Op.ADD, (total, b.make(Op.SHL, (row,), (low,))))
    if node.is_signed:
        sign = b.make(Op.LT, (digits, zero))
        row = b.make(Op.MUX, (sign, other, zero))
        total = b.make(Op.SUB, (total, b.make(Op.SHL, (row,), (plain,)) if plain else row))
    return total
