"""Pieces of Verilog: signals, parts of them, constants, declarations.

All vectors are unsigned; signs are extended in the open, so that every operand has the width of its result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

INDENT = "    "
WIDTH = 120


@dataclass(frozen=True, slots=True)
class Signal:
    """A vector, or a constant where it has a value."""

    name: str
    width: int
    is_signed: bool = False
    value: int | None = None


def constant(value: int, width: int) -> str:
    """A number of this width, negative ones in two's complement."""
    return f"{width}'h{value & ((1 << width) - 1):x}"


def declare(kind: str, name: str, width: int) -> str:
    """A declaration without its end; a vector of one bit is none."""
    return f"{kind} {name}" if width == 1 else f"{kind} [{width - 1}:0] {name}"


@dataclass
class Bits:
    """Takes parts of signals, and remembers which bits nobody took."""

    _used: dict[str, int] = field(default_factory=dict)

    def part(self, signal: Signal, low: int, width: int) -> str:
        """`width` bits from bit `low` on of a signal that goes on above its end with its sign, or with zeros."""
        if signal.value is not None:
            return constant(signal.value >> low, width)
        top = signal.width - 1
        own = max(0, min(width, signal.width - low))
        more = width - own
        parts = []
        if more and signal.is_signed:
            self._take(signal, top, 1)
            sign = signal.name if signal.width == 1 else f"{signal.name}[{top}]"
            parts.append(f"{{{more}{{{sign}}}}}" if more > 1 or own == 0 else sign)
        elif more:
            parts.append(constant(0, more))
        if own:
            self._take(signal, low, own)
            if own == signal.width:
                parts.append(signal.name)
            elif own == 1:
                parts.append(f"{signal.name}[{low}]")
            else:
                parts.append(f"{signal.name}[{low + own - 1}:{low}]")
        return parts[0] if len(parts) == 1 else "{" + ", ".join(parts) + "}"

    def whole(self, signal: Signal, width: int) -> str:
        """A signal as a number of this width."""
        return self.part(signal, 0, width)

    def _take(self, signal: Signal, low: int, width: int) -> None:
        self._used[signal.name] = self._used.get(signal.name, 0) | (((1 << width) - 1) << low)

    def unused(self, signals: Iterable[Signal]) -> list[str]:
        """Runs of bits that nobody took."""
        found = []
        for signal in signals:
            free = ~self._used.get(signal.name, 0) & ((1 << signal.width) - 1)
            while free:
                low = (free & -free).bit_length() - 1
                width = ((free >> low) ^ ((free >> low) + 1)).bit_length() - 1
                found.append(Bits().part(signal, low, width))
                free &= ~(((1 << width) - 1) << low)
        return found


def unused_lines(parts: Sequence[str]) -> list[str]:
    """A wire that reads what nobody else does, so that no tool asks about it."""
    if not parts:
        return []
    return [line.removeprefix(INDENT) for line in wrapped("wire unused = &{1'b0", parts, "};")]


def wrapped(head: str, items: Sequence[str], tail: str, pad: str = INDENT) -> list[str]:
    """`head, item, item tail` over as many lines as it takes."""
    lines, line = [], pad + head
    for n, item in enumerate(items):
        piece = (", " if n or not head.endswith(("(", "{")) else "") + item
        if len(line) + len(piece) > WIDTH - len(tail):
            lines.append(line + ("," if piece.startswith(", ") else ""))
            line = pad + INDENT + piece.removeprefix(", ")
        else:
            line += piece
    return [*lines, line + tail]


def concatenated(parts: Sequence[str]) -> list[str]:
    """Lines of a concatenation, the lowest part first in `parts`."""
    if len(parts) == 1:
        return [parts[0]]
    lines = wrapped("{", parts[::-1], "}")
    return [lines[0].strip(), *lines[1:]]
