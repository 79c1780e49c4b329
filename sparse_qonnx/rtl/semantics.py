"""What every operator computes, on Python integers and on NumPy arrays alike, and the interval of what it can give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sparse_qonnx.rtl.netlist import Op, width_of

Value = Any
"""An `int`, or an array of int64 or of Python integers."""
Interval = tuple[int, int]
Tables = Sequence[tuple[int, ...]]


def wrapped(value: Value, width: int) -> Value:
    """The low `width` bits as a signed number."""
    half = 1 << (width - 1)
    return ((value + half) & (2 * half - 1)) - half


def _towards_zero(a: Value, by: int) -> Value:
    return (abs(a) // by) * (1 - 2 * (a < 0))


def _chosen(index: Value, entries: Sequence[Value]) -> Value:
    if isinstance(index, int):
        return entries[index if 0 <= index < len(entries) else 0]
    inside = np.where((index >= 0) & (index < len(entries)), index, 0).astype(np.int64)
    if all(isinstance(entry, int) for entry in entries):
        is_wide = any(abs(entry) >= 1 << 62 for entry in entries)
        return np.array(entries, dtype=object if is_wide else np.int64)[inside]
    rows = np.stack(np.broadcast_arrays(*entries))
    return rows[inside, np.arange(len(index))]


_EVALUATE: dict[Op, Callable[[Sequence[Value], tuple[int, ...]], Value]] = {
    Op.ADD: lambda a, _: a[0] + a[1],
    Op.SUB: lambda a, _: a[0] - a[1],
    Op.MUL: lambda a, _: a[0] * a[1],
    Op.AND: lambda a, _: a[0] & a[1],
    Op.OR: lambda a, _: a[0] | a[1],
    Op.XOR: lambda a, _: a[0] ^ a[1],
    Op.COM: lambda a, _: -1 - a[0],
    Op.NOT: lambda a, _: 1 - a[0],
    Op.EQ: lambda a, _: (a[0] == a[1]) * 1,
    Op.LT: lambda a, _: (a[0] < a[1]) * 1,
    Op.MUX: lambda a, _: a[2] + a[0] * (a[1] - a[2]),
    Op.SHL: lambda a, p: a[0] * (1 << p[0]),
    Op.SHR: lambda a, p: a[0] >> p[0],
    Op.VSHL: lambda a, p: wrapped(a[0] << a[1], p[0]),
    Op.VSHR: lambda a, _: a[0] >> a[1],
    Op.SLICE: lambda a, p: (a[0] >> p[0]) & ((1 << p[1]) - 1),
    Op.WRAP: lambda a, p: wrapped(a[0], p[0]),
    Op.DIV: lambda a, p: _towards_zero(a[0], p[0]),
    Op.MOD: lambda a, p: a[0] - _towards_zero(a[0], p[0]) * p[0],
    Op.PICK: lambda a, _: _chosen(a[0], a[1:]),
}


def evaluate(op: Op, args: Sequence[Value], param: tuple[int, ...], tables: Tables) -> Value:
    """The value of an operator; a table's entries are read by ROM."""
    if op is Op.ROM:
        return _chosen(args[0], tables[param[0]])
    return _EVALUATE[op](args, param)


# ---- intervals ------------------------------------------------------------------------------------------------------


def signed_range(width: int) -> Interval:
    """Numbers of `width` bits with a sign."""
    return -(1 << (width - 1)), (1 << (width - 1)) - 1


def _hull(*values: int) -> Interval:
    return min(values), max(values)


def _products(a: Interval, b: Interval) -> Interval:
    return _hull(a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1])


def _bitwise(a: Interval, b: Interval) -> Interval:
    """Numbers of as many bits as the wider of two."""
    if a[0] >= 0 and b[0] >= 0:
        return 0, (1 << max(width_of(*a), width_of(*b))) - 1
    return signed_range(max(width_of(*_signed(a)), width_of(*_signed(b))))


def _signed(a: Interval) -> Interval:
    return min(a[0], -1), a[1]


def _and(a: Interval, b: Interval) -> Interval:
    if a[0] >= 0 and b[0] >= 0:
        return 0, min(a[1], b[1])
    if a[0] >= 0 or b[0] >= 0:
        return 0, a[1] if a[0] >= 0 else b[1]
    return _bitwise(a, b)


def _or(a: Interval, b: Interval) -> Interval:
    low, high = _bitwise(a, b)
    return (max(a[0], b[0]) if a[0] >= 0 and b[0] >= 0 else low), high


def _less(a: Interval, b: Interval) -> Interval:
    return int(a[1] < b[0]), int(a[0] < b[1])


def _equal(a: Interval, b: Interval) -> Interval:
    if a == b and a[0] == a[1]:
        return 1, 1
    return 0, int(max(a[0], b[0]) <= min(a[1], b[1]))


def _shifted_left(a: Interval, b: Interval, width: int) -> Interval:
    exact = _hull(a[0] << b[0], a[0] << b[1], a[1] << b[0], a[1] << b[1])
    return exact if _inside(exact, signed_range(width)) else signed_range(width)


def _wrapped(a: Interval, width: int) -> Interval:
    half = 1 << (width - 1)
    if (a[0] + half) >> width == (a[1] + half) >> width:  # all wrap as often
        return wrapped(a[0], width), wrapped(a[1], width)
    return signed_range(width)


def _sliced(a: Interval, low: int, width: int) -> Interval:
    most = (1 << width) - 1
    first, last = a[0] >> low, a[1] >> low
    return (first & most, last & most) if first >> width == last >> width else (0, most)


def _remainder(a: Interval, by: int) -> Interval:
    if a[0] > -by and a[1] < by:
        return a
    return (0 if a[0] >= 0 else max(1 - by, a[0])), (0 if a[1] <= 0 else min(by - 1, a[1]))


def _join(intervals: Sequence[Interval]) -> Interval:
    return min(lo for lo, _ in intervals), max(hi for _, hi in intervals)


def _inside(a: Interval, b: Interval) -> bool:
    return b[0] <= a[0] and a[1] <= b[1]


def _entries(index: Interval, entries: Sequence[Interval]) -> Interval:
    """Of what an index can choose; the first one for an index outside."""
    reached = list(entries[max(index[0], 0) : min(index[1], len(entries) - 1) + 1])
    return _join(reached if _inside(index, (0, len(entries) - 1)) else [entries[0], *reached])


_INTERVAL: dict[Op, Callable[[Sequence[Interval], tuple[int, ...]], Interval]] = {
    Op.ADD: lambda a, _: (a[0][0] + a[1][0], a[0][1] + a[1][1]),
    Op.SUB: lambda a, _: (a[0][0] - a[1][1], a[0][1] - a[1][0]),
    Op.MUL: lambda a, _: _products(a[0], a[1]),
    Op.AND: lambda a, _: _and(a[0], a[1]),
    Op.OR: lambda a, _: _or(a[0], a[1]),
    Op.XOR: lambda a, _: _bitwise(a[0], a[1]),
    Op.COM: lambda a, _: (-1 - a[0][1], -1 - a[0][0]),
    Op.NOT: lambda a, _: (1 - a[0][1], 1 - a[0][0]),
    Op.EQ: lambda a, _: _equal(a[0], a[1]),
    Op.LT: lambda a, _: _less(a[0], a[1]),
    Op.MUX: lambda a, _: _join(a[1:]),
    Op.SHL: lambda a, p: (a[0][0] << p[0], a[0][1] << p[0]),
    Op.SHR: lambda a, p: (a[0][0] >> p[0], a[0][1] >> p[0]),
    Op.VSHL: lambda a, p: _shifted_left(a[0], a[1], p[0]),
    Op.VSHR: lambda a, _: _hull(*(x >> n for x in a[0] for n in a[1])),
    Op.SLICE: lambda a, p: _sliced(a[0], p[0], p[1]),
    Op.WRAP: lambda a, p: _wrapped(a[0], p[0]),
    Op.DIV: lambda a, p: (_towards_zero(a[0][0], p[0]), _towards_zero(a[0][1], p[0])),
    Op.MOD: lambda a, p: _remainder(a[0], p[0]),
    Op.PICK: lambda a, _: _entries(a[0], a[1:]),
}


def interval(op: Op, args: Sequence[Interval], param: tuple[int, ...], tables: Tables) -> Interval:
    """What an operator can give for operands in these intervals."""
    if op is Op.ROM:
        return _entries(args[0], [(v, v) for v in tables[param[0]]])
    return _INTERVAL[op](args, param)
