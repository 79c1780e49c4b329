"""What an operator is when its operands are special: rules that give a simpler node, or nothing.

A rule may ask for operands and make other nodes, which are simplified in turn. Intervals are not its business: an
operator that can give one value only never comes here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sparse_qonnx.rtl.netlist import Op

if TYPE_CHECKING:
    from sparse_qonnx.rtl.builder import Builder

Args = tuple[int, ...]
Rule = Callable[["Builder", Args, Args], int | None]


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def _is(b: Builder, node: int, op: Op) -> bool:
    return b.nodes[node].op is op


def _are_opposite(b: Builder, x: int, y: int) -> bool:
    return any(_is(b, p, Op.NOT) and b.nodes[p].args[0] == q for p, q in ((x, y), (y, x)))


def _add(b: Builder, args: Args, _: Args) -> int | None:
    x, y = args
    added = b.constant(y)
    if added == 0:
        return x
    if added is not None and _is(b, x, Op.ADD):
        inner = b.constant(b.nodes[x].args[1])
        if inner is not None:
            return b.make(Op.ADD, (b.nodes[x].args[0], b.const(added + inner)))
    return None


def _sub(b: Builder, args: Args, _: Args) -> int | None:
    x, y = args
    if x == y:
        return b.const(0)
    taken = b.constant(y)
    if taken is not None:
        return b.make(Op.ADD, (x, b.const(-taken)))
    return None


def _mul(b: Builder, args: Args, _: Args) -> int | None:
    x, y = args
    factor = b.constant(y)
    if factor is None:
        for one, other in ((x, y), (y, x)):
            if b.is_bit(one):
                return b.make(Op.MUX, (one, other, b.const(0)))
        return None
    if factor == 0:
        return b.const(0)
    if factor < 0:
        return b.make(Op.SUB, (b.const(0), b.make(Op.MUL, (x, b.const(-factor)))))
    if _is_power_of_two(factor):
        return x if factor == 1 else b.make(Op.SHL, (x,), (factor.bit_length() - 1,))
    return None


def _and(b: Builder, args: Args, _: Args) -> int | None:
    x, y = args
    mask = b.constant(y)
    if x == y or mask == -1:
        return x
    if mask == 0 or _are_opposite(b, x, y):
        return b.const(0)
    if mask is not None and mask > 0 and _is_power_of_two(mask + 1):
        return b.make(Op.SLICE, (x,), (0, mask.bit_length()))
    return None


def _or(b: Builder, args: Args, _: Args) -> int | None:
    x, y = args
    other = b.constant(y)
    if x == y or other == 0:
        return x
    if (other == 1 and b.is_bit(x)) or _are_opposite(b, x, y):
        return b.const(1)
    return b.const(-1) if other == -1 else None


def _xor(b: Builder, args: Args, _: Args) -> int | None:
    x, y = args
    other = b.constant(y)
    if x == y:
        return b.const(0)
    if other == 0:
        return x
    if other == 1 and b.is_bit(x):
        return b.make(Op.NOT, (x,))
    return b.make(Op.COM, (x,)) if other == -1 else None


def _twice(op: Op) -> Rule:
    """Of an operator that is its own inverse."""

    def rule(b: Builder, args: Args, _: Args) -> int | None:
        return b.nodes[args[0]].args[0] if _is(b, args[0], op) else None

    return rule


def _eq(b: Builder, args: Args, _: Args) -> int | None:
    x, y = args
    value = b.constant(y)
    if x == y:
        return b.const(1)
    if value is None:
        return None
    if b.is_bit(x):
        return x if value == 1 else b.make(Op.NOT, (x,))
    inner = b.nodes[x]
    if inner.op is Op.ADD and b.constant(inner.args[1]) is not None:
        return b.make(Op.EQ, (inner.args[0], b.const(value - b.nodes[inner.args[1]].lo)))
    if inner.op is Op.SHL:
        step = 1 << inner.param[0]
        return b.const(0) if value % step else b.make(Op.EQ, (inner.args[0], b.const(value // step)))
    return None


def _lt(b: Builder, args: Args, _: Args) -> int | None:
    x, y = args
    if x == y:
        return b.const(0)
    limit, low = b.constant(y), b.constant(x)
    if limit is not None:  # x < limit, at the ends of x
        if limit == b.nodes[x].lo + 1:
            return b.make(Op.EQ, (x, b.const(b.nodes[x].lo)))
        if limit == b.nodes[x].hi:
            return b.make(Op.NOT, (b.make(Op.EQ, (x, y)),))
        if limit > 0 and _is_power_of_two(limit) and b.nodes[x].lo >= 0:  # the bits above are 0
            return b.make(Op.EQ, (b.make(Op.SHR, (x,), (limit.bit_length() - 1,)), b.const(0)))
    if low is not None:
        if low == b.nodes[y].hi - 1:
            return b.make(Op.EQ, (y, b.const(b.nodes[y].hi)))
        if low == b.nodes[y].lo:
            return b.make(Op.NOT, (b.make(Op.EQ, (y, x)),))
        # low < y is not y < low + 1
        return b.make(Op.NOT, (b.make(Op.LT, (y, b.const(low + 1))),))
    return None


def _mux(b: Builder, args: Args, _: Args) -> int | None:
    c, x, y = args
    which = b.constant(c)
    if which is not None:
        return x if which else y
    if x == y:
        return x
    if _is(b, c, Op.NOT):
        return b.make(Op.MUX, (b.nodes[c].args[0], y, x))
    if _is(b, x, Op.MUX) and b.nodes[x].args[0] == c:
        return b.make(Op.MUX, (c, b.nodes[x].args[1], y))
    if _is(b, y, Op.MUX) and b.nodes[y].args[0] == c:
        return b.make(Op.MUX, (c, x, b.nodes[y].args[2]))
    return _mux_of_bits(b, c, x, y) if b.is_bit(x) and b.is_bit(y) else None


def _mux_of_bits(b: Builder, c: int, x: int, y: int) -> int | None:
    first, second = b.constant(x), b.constant(y)
    if first == 1 or x == c:
        return b.make(Op.OR, (c, y))
    if second == 0 or y == c:
        return b.make(Op.AND, (c, x))
    if first == 0:
        return b.make(Op.AND, (b.make(Op.NOT, (c,)), y))
    if second == 1:
        return b.make(Op.OR, (b.make(Op.NOT, (c,)), x))
    return None


def _shl(b: Builder, args: Args, param: Args) -> int | None:
    inner = b.nodes[args[0]]
    if param[0] == 0:
        return args[0]
    return b.make(Op.SHL, inner.args, (inner.param[0] + param[0],)) if inner.op is Op.SHL else None


def _shr(b: Builder, args: Args, param: Args) -> int | None:
    inner, distance = b.nodes[args[0]], param[0]
    if distance == 0:
        return args[0]
    if inner.op is Op.SHR:
        return b.make(Op.SHR, inner.args, (inner.param[0] + distance,))
    if inner.op is Op.SHL:
        left = inner.param[0] - distance
        return b.make(Op.SHL, inner.args, (left,)) if left >= 0 else b.make(Op.SHR, inner.args, (-left,))
    if inner.op is Op.SLICE and distance < inner.param[1]:
        return b.make(Op.SLICE, inner.args, (inner.param[0] + distance, inner.param[1] - distance))
    return None


def _slice(b: Builder, args: Args, param: Args) -> int | None:
    low, width = param
    inner = b.nodes[args[0]]
    if inner.lo >= 0 and inner.hi >> low < 1 << width:
        return b.make(Op.SHR, args, (low,))
    if inner.op is Op.SLICE:
        return b.make(Op.SLICE, inner.args, (inner.param[0] + low, min(width, inner.param[1] - low)))
    if inner.op is Op.SHR:
        return b.make(Op.SLICE, inner.args, (inner.param[0] + low, width))
    if inner.op is Op.SHL and inner.param[0] <= low:
        return b.make(Op.SLICE, inner.args, (low - inner.param[0], width))
    if inner.op is Op.WRAP and low + width <= inner.param[0]:
        return b.make(Op.SLICE, inner.args, param)
    return None


def _wrap(b: Builder, args: Args, param: Args) -> int | None:
    inner, width = b.nodes[args[0]], param[0]
    if -(1 << (width - 1)) <= inner.lo and inner.hi < 1 << (width - 1):
        return args[0]
    if inner.op is Op.WRAP or (inner.op is Op.SLICE and inner.param[0] == 0 and inner.param[1] >= width):
        return b.make(Op.WRAP, inner.args, (min(width, inner.param[0]) if inner.op is Op.WRAP else width,))
    return None


def _div(b: Builder, args: Args, param: Args) -> int | None:
    if _is_power_of_two(param[0]) and b.nodes[args[0]].lo >= 0:
        return b.make(Op.SHR, args, (param[0].bit_length() - 1,))
    return None


def _mod(b: Builder, args: Args, param: Args) -> int | None:
    inner = b.nodes[args[0]]
    if inner.lo > -param[0] and inner.hi < param[0]:
        return args[0]
    if _is_power_of_two(param[0]) and inner.lo >= 0:
        return b.make(Op.SLICE, args, (0, param[0].bit_length() - 1))
    return None


def _pick(b: Builder, args: Args, _: Args) -> int | None:
    index, entries = args[0], args[1:]
    at = b.constant(index)
    if at is not None:
        return entries[at if 0 <= at < len(entries) else 0]
    if len(set(entries)) == 1:
        return entries[0]
    last = b.nodes[index].hi
    if b.nodes[index].lo >= 0 and last + 1 < len(entries):
        return b.make(Op.PICK, (index, *entries[: last + 1]))
    values = [b.constant(e) for e in entries]
    if None not in values:
        return b.rom(index, tuple(v for v in values if v is not None))
    if len(entries) == 2 and b.is_bit(index):
        return b.make(Op.MUX, (index, entries[1], entries[0]))
    return None


def _rom(b: Builder, args: Args, param: Args) -> int | None:
    values, index = b.layer.tables[param[0]], b.nodes[args[0]]
    if index.lo >= 0 and index.hi + 1 < len(values):
        return b.rom(args[0], values[: index.hi + 1])
    if len(values) == 2 and b.is_bit(args[0]):
        return b.make(Op.MUX, (args[0], b.const(values[1]), b.const(values[0])))
    return None


RULES: dict[Op, Rule] = {
    Op.ADD: _add,
    Op.SUB: _sub,
    Op.MUL: _mul,
    Op.AND: _and,
    Op.OR: _or,
    Op.XOR: _xor,
    Op.COM: _twice(Op.COM),
    Op.NOT: _twice(Op.NOT),
    Op.EQ: _eq,
    Op.LT: _lt,
    Op.MUX: _mux,
    Op.SHL: _shl,
    Op.SHR: _shr,
    Op.SLICE: _slice,
    Op.WRAP: _wrap,
    Op.DIV: _div,
    Op.MOD: _mod,
    Op.PICK: _pick,
    Op.ROM: _rom,
}
"""By operator; each is asked once a node."""
