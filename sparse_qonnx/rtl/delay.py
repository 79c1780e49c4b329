"""How long logic takes, in levels: a look-up table of six inputs and the wire to it are one.

Gates are packed into tables as synthesis does: a gate whose operands are gates of few inputs is one table with them. A
carry chain takes an eighth of a level a bit. The rest follows from the structure that synthesis makes of an operator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparse_qonnx.rtl.netlist import Node, Op

LUT_INPUTS = 6
BITS_PER_LEVEL = 8


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a value is there.

    Attributes:
        level: levels behind the registers.
        cone: inputs of the table that gives it, where more may be packed into it; empty otherwise.
        base: level of the latest of these inputs.
    """

    level: float
    cone: frozenset[int] = frozenset()
    base: float = 0.0


AT_ONCE = Arrival(0.0)
"""Of a register, a constant, a port."""


def arrival(node: Node, args: Sequence[Node], given: Sequence[Arrival]) -> Arrival:
    """When a node is there.

    Args:
        node: the node.
        args: its operands.
        given: when these are there.
    """
    variable = [n for n, a in enumerate(args) if a.op is not Op.CONST]
    if node.op in _GATES or (node.op is Op.EQ and _compared(args) <= 2):
        return _packed(node, variable, given)
    latest = max((given[n].level for n in variable), default=0.0)
    return Arrival(latest + _LEVELS[node.op](node, args))


def _packed(node: Node, variable: Sequence[int], given: Sequence[Arrival]) -> Arrival:
    cone: set[int] = set()
    base = 0.0
    for n in variable:
        cone |= given[n].cone or {node.args[n]}
        base = max(base, given[n].base if given[n].cone else given[n].level)
    if len(cone) > LUT_INPUTS:
        cone = {node.args[n] for n in variable}
        base = max(given[n].level for n in variable)
    return Arrival(base + 1, frozenset(cone), base)


def _compared(args: Sequence[Node]) -> int:
    """Bits that a comparison looks at."""
    return sum(a.width for a in args if a.op is not Op.CONST)


def _tree(n_inputs: int) -> int:
    return max(1, math.ceil(math.log(n_inputs, LUT_INPUTS) - 1e-9))


def _carry(width: int) -> float:
    return 1 + width / BITS_PER_LEVEL


def _add(node: Node, args: Sequence[Node]) -> float:
    # Bits below the lowest of one operand are wires.
    low = max((a.param[0] for a in args if a.op is Op.SHL), default=0)
    return _carry(max(node.width - low, 1))


def _less(_: Node, args: Sequence[Node]) -> float:
    bits = _compared(args)
    return 1 if bits <= LUT_INPUTS else _carry(max(a.width for a in args if a.op is not Op.CONST))


def _multiply(node: Node, args: Sequence[Node]) -> float:
    """Rows of one operand's bits times the other operand, two added at once, then a tree of adders."""
    short, long = sorted(a.width for a in args)
    rows, width, levels = math.ceil(short / 2), long + 2, _carry(long + 2)
    while rows > 1:
        rows, width = math.ceil(rows / 2), min(width + 2, node.width)
        levels += _carry(width)
    return levels


def _rom(_: Node, args: Sequence[Node]) -> float:
    bits = args[0].width
    return 1 if bits <= LUT_INPUTS else 1 + math.ceil((bits - LUT_INPUTS) / 2)


def _pick(_: Node, args: Sequence[Node]) -> float:
    return max(1, math.ceil(math.log(len(args) - 1, 4) - 1e-9))


def _shifter(_: Node, args: Sequence[Node]) -> float:
    return math.ceil(args[1].hi.bit_length() / 2)


def _wires(_: Node, __: Sequence[Node]) -> float:
    return 0


_GATES = frozenset({Op.AND, Op.OR, Op.XOR, Op.COM, Op.NOT, Op.MUX})
_LEVELS: dict[Op, Callable[[Node, Sequence[Node]], float]] = {
    Op.ADD: _add,
    Op.SUB: _add,
    Op.MUL: _multiply,
    Op.EQ: lambda _, args: _tree(_compared(args)),
    Op.LT: _less,
    Op.SHL: _wires,
    Op.SHR: _wires,
    Op.SLICE: _wires,
    Op.WRAP: _wires,
    Op.VSHL: _shifter,
    Op.VSHR: _shifter,
    Op.DIV: _multiply,
    Op.MOD: _multiply,
    Op.ROM: _rom,
    Op.PICK: _pick,
}
