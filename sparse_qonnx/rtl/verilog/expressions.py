"""Operators as Verilog expressions, every operand as wide as the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sparse_qonnx.rtl.netlist import Node, Op
from sparse_qonnx.rtl.verilog.text import Bits, Signal, constant

Args = Sequence[Signal]


def _sum(sign: str) -> Callable[[Bits, Node, Args, Sequence[Node]], str]:
    def write(bits: Bits, node: Node, args: Args, nodes: Sequence[Node]) -> str:
        width = node.width
        # Below a shifted operand's lowest bit nothing is added.
        for shifted in (1, 0) if sign == "+" else (1,):
            other = 1 - shifted
            low = nodes[shifted].param[0] if nodes[shifted].op is Op.SHL else 0
            if 0 < low < width and args[other].value is None:
                high = f"{bits.part(args[other], low, width - low)} {sign} {bits.part(args[shifted], low, width - low)}"
                return f"{{{high}, {bits.part(args[other], 0, low)}}}"
        return f"{bits.whole(args[0], width)} {sign} {bits.whole(args[1], width)}"

    return write


def _product(bits: Bits, node: Node, args: Args, _: Sequence[Node]) -> str:
    first, second = (bits.whole(a, node.width) for a in args)
    if any(a.is_signed for a in args):
        return f"$signed({first}) * $signed({second})"
    return f"{first} * {second}"


def _gate(sign: str) -> Callable[[Bits, Node, Args, Sequence[Node]], str]:
    return lambda bits, node, args, _: f"{bits.whole(args[0], node.width)} {sign} {bits.whole(args[1], node.width)}"


def _common(args: Args, nodes: Sequence[Node]) -> int:
    """Bits that hold all operands, with a sign where one has it."""
    signed = any(n.is_signed for n in nodes)
    return max(a.width + (signed and not n.is_signed) for a, n in zip(args, nodes, strict=True))


def _equal(bits: Bits, _: Node, args: Args, nodes: Sequence[Node]) -> str:
    width = _common(args, nodes)
    return f"{bits.whole(args[0], width)} == {bits.whole(args[1], width)}"


def _less(bits: Bits, _: Node, args: Args, nodes: Sequence[Node]) -> str:
    width = _common(args, nodes)
    if args[1].value == 0:
        return bits.part(args[0], args[0].width - 1, 1)
    first, second = (bits.whole(a, width) for a in args)
    if any(n.is_signed for n in nodes):
        return f"$signed({first}) < $signed({second})"
    return f"{first} < {second}"


def _mux(bits: Bits, node: Node, args: Args, _: Sequence[Node]) -> str:
    return f"{bits.whole(args[0], 1)} ? {bits.whole(args[1], node.width)} : {bits.whole(args[2], node.width)}"


def _left(bits: Bits, node: Node, args: Args, _: Sequence[Node]) -> str:
    low = node.param[0]
    return f"{{{bits.whole(args[0], node.width - low)}, {constant(0, low)}}}"


def _shifted_left(bits: Bits, node: Node, args: Args, _: Sequence[Node]) -> str:
    return f"{bits.whole(args[0], node.width)} << {bits.whole(args[1], args[1].width)}"


def select(bits: Bits, index: Signal, entries: Sequence[str], at: int) -> str:
    """A tree of choices by the bits of an index, from bit `at` down; what lies outside is some entry."""
    if len(set(entries)) == 1:
        return entries[0]
    half = 1 << at
    if len(entries) <= half:
        return select(bits, index, entries, at - 1)
    low, high = (select(bits, index, part, at - 1) for part in (entries[:half], entries[half:]))
    return f"({bits.part(index, at, 1)} ? {high} : {low})"


def _pick(bits: Bits, node: Node, args: Args, _: Sequence[Node]) -> str:
    entries = [bits.whole(a, node.width) for a in args[1:]]
    return select(bits, args[0], entries, (len(entries) - 1).bit_length() - 1)


_WRITE: dict[Op, Callable[[Bits, Node, Args, Sequence[Node]], str]] = {
    Op.ADD: _sum("+"),
    Op.SUB: _sum("-"),
    Op.MUL: _product,
    Op.AND: _gate("&"),
    Op.OR: _gate("|"),
    Op.XOR: _gate("^"),
    Op.COM: lambda bits, node, args, _: f"~{bits.whole(args[0], node.width)}",
    Op.NOT: lambda bits, _, args, __: f"~{bits.whole(args[0], 1)}",
    Op.EQ: _equal,
    Op.LT: _less,
    Op.MUX: _mux,
    Op.SHL: _left,
    Op.SHR: lambda bits, node, args, _: bits.part(args[0], node.param[0], node.width),
    Op.SLICE: lambda bits, node, args, _: bits.part(args[0], node.param[0], node.width),
    Op.WRAP: lambda bits, node, args, _: bits.whole(args[0], node.width),
    Op.VSHL: _shifted_left,
    Op.PICK: _pick,
}


def expression(bits: Bits, node: Node, args: Args, nodes: Sequence[Node], table: Sequence[int] = ()) -> str:
    """A node's value.

    Args:
        bits: notes what is read of the operands.
        node: the node.
        args: signals of its operands.
        nodes: its operands.
        table: entries of a ROM.
    """
    if node.op is Op.ROM:
        entries = [constant(value, node.width) for value in table]
        return select(bits, args[0], entries, (len(entries) - 1).bit_length() - 1)
    return _WRITE[node.op](bits, node, args, nodes)
