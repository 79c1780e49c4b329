"""What a netlist would instantiate, by kind and width, and how long its loops take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import repeat

from sparse_qonnx.rtl.netlist import Layer, Node, Op, width_of

Instance = tuple[str, int, int]
"""A kind and the widths of its operands; the second one is 1 where there is one operand, or one width."""


def instances(layer: Layer) -> Counter[Instance]:
    """How many there are of each; constants cost nothing, and neither does what is wires.

    A choice between a register and what it takes is the enable that every register has.
    """
    counts: Counter[Instance] = Counter()
    enables = set(_enables(layer))
    for number, node in enumerate(layer.nodes):
        if number not in enables and node.op in _COUNTS:
            counts.update(_COUNTS[node.op](layer, node, [layer.nodes[a] for a in node.args]))
    counts.update(("register", width, 1) for width in _register_widths(layer))
    return counts


def cycles(layer: Layer) -> int:
    """Cycles of its loops one after another, by the intervals that the kernel asks for; 0 without a loop."""
    return sum(nest.n_trips * nest.interval for nest in layer.nests)


def _register_widths(layer: Layer) -> Iterator[int]:
    """Of the state that is read, and of the counters."""
    yield from (width_of(register.lo, register.hi) for register in layer.registers)
    read = {a for node in layer.nodes for a in node.args}
    yield from (node.width for n, node in enumerate(layer.nodes) if node.op is Op.COUNTER and n in read)


def _enables(layer: Layer) -> Iterator[int]:
    held = layer.register_nodes()
    for number, register in enumerate(layer.registers):
        node = register.next
        while layer.nodes[node].op is Op.MUX:
            _, taken, other = layer.nodes[node].args
            if held.get(number) in (taken, other):
                yield node
                break
            node = other


def _bits(node: Node) -> int:
    """Wires of a number; a constant 0 has none."""
    return 0 if node.lo == node.hi == 0 else node.width


def _is_constant(node: Node) -> bool:
    return node.op is Op.CONST


Counted = Iterator[Instance]
_Rule = Callable[[Layer, Node, list[Node]], Counted]


def _adder(_: Layer, node: Node, __: list[Node]) -> Counted:
    yield "add", node.width, 1


def _times(x: Node, constant: int) -> Counted:
    """By 0 or a power of two: wires; by any other: the bits of the constant between its first and its last 1."""
    odd = abs(constant)
    while odd and odd % 2 == 0:
        odd //= 2
    if odd > 1:
        yield "multiply_constant", x.width, odd.bit_length()
    elif constant < 0:
        yield "add", x.width + 1, 1


def _product(_: Layer, __: Node, args: list[Node]) -> Counted:
    a, b = args
    if _is_constant(a) or _is_constant(b):
        yield from _times(b, a.lo) if _is_constant(a) else _times(a, b.lo)
    elif a.width == 1 or b.width == 1:
        yield "select", max(a.width, b.width), 1  # one bit: gates
    else:
        yield "multiply", a.width, b.width


def _quotient(_: Layer, node: Node, args: list[Node]) -> Counted:
    (x,), by = args, node.param[0]
    if by & (by - 1):
        yield "multiply_constant", x.width, x.width + 1  # its reciprocal, precise enough for every x
    elif x.lo < 0:
        yield "add", x.width, 1


def _remainder(layer: Layer, node: Node, args: list[Node]) -> Counted:
    by = node.param[0]
    yield from _quotient(layer, node, args)
    if by & (by - 1) or args[0].lo < 0:
        yield from _times(args[0], by)
        yield "add", args[0].width, 1


def _comparison(_: Layer, node: Node, args: list[Node]) -> Counted:
    """A sign is read off a wire, and so is a single bit."""
    a, b = args
    is_sign = node.op is Op.LT and ((_is_constant(b) and b.lo == 0) or (_is_constant(a) and a.lo == -1))
    if not is_sign and _bits(a) + _bits(b) > 1:
        yield "compare", max(_bits(a), _bits(b)), 1


def _gates(_: Layer, __: Node, args: list[Node]) -> Counted:
    if not any(map(_is_constant, args)):
        yield "logic", max(a.width for a in args), 1


def _choice(_: Layer, node: Node, args: list[Node]) -> Counted:
    yield from repeat(("select", node.width, 1), sum(not _is_constant(a) for a in args[1:]))


def _table(layer: Layer, node: Node, _: list[Node]) -> Counted:
    yield from repeat(("rom", node.width, 1), len(layer.tables[node.param[0]]))


def _shifter(_: Layer, node: Node, args: list[Node]) -> Counted:
    """A row of two-way selectors for every bit of the distance."""
    distance = args[1]
    yield from repeat(("select", node.width, 1), 2 * (distance.hi - distance.lo).bit_length())


_COUNTS: dict[Op, _Rule] = {
    Op.ADD: _adder,
    Op.SUB: _adder,
    Op.MUL: _product,
    Op.DIV: _quotient,
    Op.MOD: _remainder,
    Op.EQ: _comparison,
    Op.LT: _comparison,
    **dict.fromkeys((Op.AND, Op.OR, Op.XOR, Op.COM), _gates),
    Op.MUX: _choice,
    Op.PICK: _choice,
    Op.ROM: _table,
    Op.VSHL: _shifter,
    Op.VSHR: _shifter,
}
