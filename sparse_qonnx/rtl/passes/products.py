"""Products with constants as shifts and additions: signed digits, and terms shared by the constants of one factor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sparse_qonnx.rtl.builder import Builder
from sparse_qonnx.rtl.netlist import Layer, Node, Op
from sparse_qonnx.rtl.rebuild import rebuild


def share_products(layer: Layer) -> Layer:
    """Without multiplications by constants."""
    constants: dict[int, set[int]] = defaultdict(set)
    for node in layer.nodes:
        factor = _factor(layer, node)
        if factor is not None:
            constants[factor[0]].add(factor[1])
    known: dict[int, _Products] = {}

    def maker(b: Builder, _: int, node: Node, made: Sequence[int]) -> int | None:
        factor = _factor(layer, node)
        if factor is None:
            return None
        x = made[factor[0]]
        if x not in known:
            known[x] = _Products(b, x)
            for value in sorted(constants[factor[0]], key=lambda v: (len(signed_digits(v)), v)):
                known[x].times(value)
        return known[x].times(factor[1])

    return rebuild(layer, maker)


def _factor(layer: Layer, node: Node) -> tuple[int, int] | None:
    """Of a product with a constant: the other operand, and the constant without its sign."""
    if node.op is not Op.MUL:
        return None
    for x, y in (node.args, node.args[::-1]):
        if layer.nodes[y].op is Op.CONST and layer.nodes[y].lo > 0 and layer.nodes[x].op is not Op.CONST:
            return x, layer.nodes[y].lo
    return None


def signed_digits(value: int) -> list[tuple[int, int]]:
    """Places and signs of a positive number's digits -1, 0, 1, of which no two beside each other are not 0."""
    digits = []
    place = 0
    while value:
        if value & 1:
            sign = 2 - (value & 3)
            digits.append((place, sign))
            value -= sign
        value >>= 1
        place += 1
    return digits


class _Products:
    """Multiples of one node."""

    def __init__(self, builder: Builder, x: int) -> None:
        self._builder = builder
        self._known = {1: x}  # odd multiples

    def times(self, value: int) -> int:
        """`value` times the node."""
        down = (value & -value).bit_length() - 1
        return self._shifted(self._odd(value >> down), down)

    def _shifted(self, node: int, distance: int) -> int:
        return self._builder.make(Op.SHL, (node,), (distance,)) if distance else node

    def _odd(self, value: int) -> int:
        if value not in self._known:
            self._known[value] = self._one_adder(value) or self._factored(value) or self._split(value)
        return self._known[value]

    def _one_adder(self, value: int) -> int | None:
        """A sum or difference of two multiples that are there."""
        for multiple, node in list(self._known.items()):
            for distance in range(value.bit_length() - multiple.bit_length() + 2 if multiple <= 2 * value else 0):
                part = multiple << distance
                rest = abs(value - part)
                down = (rest & -rest).bit_length() - 1
                other = self._known.get(rest >> down) if rest else None
                if other is None:
                    continue
                first, second = self._shifted(node, distance), self._shifted(other, down)
                if part > value:
                    return self._builder.make(Op.SUB, (first, second))
                return self._builder.make(Op.ADD, (first, second))
        return None

    def _factored(self, value: int) -> int | None:
        """2^k + 1 or 2^k - 1 times a multiple of fewer digits."""
        digits = len(signed_digits(value))
        for distance in range(2, value.bit_length()):
            for sign in (1, -1):
                factor = (1 << distance) + sign
                if value % factor == 0 and value // factor > 1 and len(signed_digits(value // factor)) < digits - 1:
                    node = self._odd(value // factor)
                    op = Op.ADD if sign > 0 else Op.SUB
                    return self._builder.make(op, (self._shifted(node, distance), node))
        return None

    def _split(self, value: int) -> int:
        """The upper half of the digits and the lower half."""
        digits = signed_digits(value)
        middle = len(digits) // 2
        low = sum(sign << place for place, sign in digits[:middle])
        high = value - low
        op = Op.ADD if low > 0 else Op.SUB
        return self._builder.make(op, (self.times(high), self.times(abs(low))))
