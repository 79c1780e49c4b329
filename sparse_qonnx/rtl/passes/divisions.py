"""Division by a constant as a multiplication by its reciprocal, precise enough for every number that comes."""

from __future__ import annotations

from collections.abc import Sequence

from sparse_qonnx.rtl.builder import Builder
from sparse_qonnx.rtl.netlist import Layer, Node, Op
from sparse_qonnx.rtl.rebuild import rebuild


def multiply_instead(layer: Layer) -> Layer:
    """Without divisions and remainders."""
    return rebuild(layer, _made)


def _made(b: Builder, _: int, node: Node, made: Sequence[int]) -> int | None:
    if node.op is Op.DIV:
        return _quotient(b, made[node.args[0]], node.param[0])
    if node.op is Op.MOD:
        x = made[node.args[0]]
        whole = b.make(Op.MUL, (_quotient(b, x, node.param[0]), b.const(node.param[0])))
        return b.make(Op.SUB, (x, whole), bounds=(node.lo, node.hi))
    return None


def _quotient(b: Builder, x: int, by: int) -> int:
    """x / by, towards 0."""
    lo, hi = b.span(x)
    if lo < 0:
        is_negative = b.make(Op.LT, (x, b.const(0)))
        size = b.make(Op.MUX, (is_negative, b.make(Op.SUB, (b.const(0), x)), x), bounds=(0, max(-lo, hi)))
        whole = _floor(b, size, by)
        return b.make(Op.MUX, (is_negative, b.make(Op.SUB, (b.const(0), whole)), whole))
    return _floor(b, x, by)


def _floor(b: Builder, x: int, by: int) -> int:
    """floor(x / by) of an x >= 0: with 2^s >= by * (largest x) the rounded-up reciprocal is off by less than it may."""
    if by & (by - 1) == 0:
        return b.make(Op.SHR, (x,), (by.bit_length() - 1,))
    most = b.nodes[x].hi
    distance = by.bit_length()
    while True:
        factor = -(-(1 << distance) // by)
        if (factor * by - (1 << distance)) * most < 1 << distance:
            break
        distance += 1
    product = b.make(Op.MUL, (x, b.const(factor)))
    return b.make(Op.SHR, (product,), (distance,), bounds=(b.nodes[x].lo // by, most // by))
