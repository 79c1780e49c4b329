"""The netlist of a firmware: one layer a kernel call, operators on integers with exact intervals, loops and registers.

A node is *static* where it depends on inputs and constants only; otherwise it belongs to the loop nest whose counters,
registers or words it depends on, and has one value a trip.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

STATIC = -1
"""The nest of nodes that belong to none."""


class Op(Enum):
    """What a node does, by its name in the text format."""

    CONST = "const"
    INPUT = "input"
    COUNTER = "counter"
    REG = "reg"
    LAST = "last"
    LANE = "lane"
    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    AND = "and"
    OR = "or"
    XOR = "xor"
    COM = "com"
    NOT = "not"
    EQ = "eq"
    LT = "lt"
    MUX = "mux"
    SHL = "shl"
    SHR = "shr"
    VSHL = "vshl"
    VSHR = "vshr"
    SLICE = "slice"
    WRAP = "wrap"
    DIV = "div"
    MOD = "mod"
    ROM = "rom"
    PICK = "pick"


SOURCES = frozenset({Op.CONST, Op.INPUT, Op.COUNTER, Op.REG, Op.LAST, Op.LANE})
"""Operators without operands."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value.

    Attributes:
        op: what gives it.
        args: ids of its operands.
        lo, hi: what it lies between, both included.
        param: constants of the operator: distances, widths, the number of a table; of a source, which one it is: input
            (port), counter (position in the nest), register or last (register), lane (word, lane).
        nest: loop nest that it belongs to, or STATIC.
    """

    op: Op
    args: tuple[int, ...]
    lo: int
    hi: int
    param: tuple[int, ...] = ()
    nest: int = STATIC

    @property
    def is_signed(self) -> bool:
        """Whether its wires hold a sign."""
        return self.lo < 0

    @property
    def width(self) -> int:
        """Wires that it needs: at least one."""
        return width_of(self.lo, self.hi)


def width_of(lo: int, hi: int) -> int:
    """Wires for lo .. hi: of the magnitude, and one for the sign where there is one."""
    if lo >= 0:
        return max(hi.bit_length(), 1)
    return max((-lo - 1).bit_length(), hi.bit_length() if hi > 0 else 0) + 1


@dataclass(frozen=True, slots=True)
class Nest:
    """A loop nest: trips of its loops, the outermost first; cycles that the kernel asks for between two trips."""

    trips: tuple[int, ...]
    interval: int = 1

    @property
    def n_trips(self) -> int:
        """Trips of the innermost loop."""
        return math.prod(self.trips)


@dataclass(frozen=True, slots=True)
class Register:
    """State of a loop nest.

    Attributes:
        nest: whose.
        lo, hi: what it can hold.
        reset: node that it holds in the first trip; None where nobody reads that.
        next: node that it holds in the next trip.
    """

    nest: int
    lo: int
    hi: int
    reset: int | None
    next: int


@dataclass(frozen=True, slots=True)
class Port:
    """An element of an array between layers: its bits, and for an output the node that it shows."""

    tensor: str
    index: int
    width: int
    is_signed: bool
    node: int = -1


@dataclass(frozen=True, slots=True)
class Stream:
    """A port of words, lane 0 in the lowest bits."""

    name: str
    is_input: bool
    lanes: int
    width: int
    is_signed: bool


@dataclass(frozen=True, slots=True)
class Word:
    """A word taken or given in every trip where `enable` holds; `values` are the nodes given, none of an input."""

    stream: str
    nest: int
    enable: int
    values: tuple[int, ...] = ()


@dataclass
class Layer:
    """The hardware of one kernel call.

    Attributes:
        name: of the layer's configuration.
        kernel: C++ function that was recorded.
        nodes: in an order in which operands come first.
        nests: loop nests, in the order in which they run.
        registers, tables, words: state, constants of ROMs, words of streams.
        inputs: elements of the arrays that it reads; node k of INPUT(p) shows inputs[p].
        outputs: elements of the arrays that it writes.
        streams: its ports of words.
    """

    name: str
    kernel: str
    nodes: list[Node] = field(default_factory=list)
    nests: list[Nest] = field(default_factory=list)
    registers: list[Register] = field(default_factory=list)
    tables: list[tuple[int, ...]] = field(default_factory=list)
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)

    def roots(self) -> Iterator[int]:
        """Nodes that something outside of the nodes reads."""
        yield from (port.node for port in self.outputs)
        for word in self.words:
            yield word.enable
            yield from word.values

    def register_roots(self, number: int) -> Iterator[int]:
        """Nodes that a register reads."""
        register = self.registers[number]
        if register.reset is not None:
            yield register.reset
        yield register.next

    def register_nodes(self) -> dict[int, int]:
        """The REG node of each register that is read in its loop."""
        return {node.param[0]: i for i, node in enumerate(self.nodes) if node.op is Op.REG}


@dataclass
class Netlist:
    """All layers, in the order in which they run."""

    layers: list[Layer] = field(default_factory=list)
