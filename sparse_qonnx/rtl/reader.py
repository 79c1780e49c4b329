"""Reading a recorded netlist: one pass over its lines, and nothing is taken on trust.

Checked: every operand is defined before it is used, every interval holds what its operands can give, loops are closed,
no node belongs to two of them, and the file is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from sparse_qonnx.errors import NetlistError
from sparse_qonnx.rtl.netlist import STATIC, Layer, Nest, Netlist, Node, Op, Port, Register, Stream, Word
from sparse_qonnx.rtl.semantics import interval

VERSION = 1
_HEADER = f"sparse_qonnx_netlist {VERSION}"

_OPERANDS: dict[Op, tuple[int, int]] = {
    **dict.fromkeys((Op.ADD, Op.SUB, Op.MUL, Op.AND, Op.OR, Op.XOR, Op.EQ, Op.LT, Op.VSHR), (2, 0)),
    **dict.fromkeys((Op.COM, Op.NOT), (1, 0)),
    **dict.fromkeys((Op.SHL, Op.SHR, Op.WRAP, Op.DIV, Op.MOD, Op.ROM), (1, 1)),
    Op.MUX: (3, 0),
    Op.VSHL: (2, 1),
    Op.SLICE: (1, 2),
}
"""References and parameters; PICK has as many references as it likes."""
_PARAMETER_FROM = {Op.WRAP: 1, Op.SLICE: 0, Op.ROM: 0, Op.DIV: 2, Op.MOD: 2, Op.SHL: 1, Op.SHR: 1, Op.VSHL: 1}


@dataclass
class _Open:
    """The loops that are open: of one nest, the outermost first."""

    number: int
    ids: list[int] = field(default_factory=list)
    trips: list[int] = field(default_factory=list)
    interval: int = 1
    is_closing: bool = False


def read_netlist(lines: Iterable[str]) -> Netlist:
    """A netlist from its text.

    Raises:
        NetlistError: a line that is not of the format, an operand that is not defined, an interval that does not hold,
            or a text that ends early.
    """
    return _Reader().read(lines)


class _Reader:
    def __init__(self) -> None:
        self._netlist = Netlist()
        self._layer: Layer | None = None
        self._line = 0
        self._text = ""
        self._begin(None)
        self._handlers: dict[str, Callable[[list[str]], None]] = {
            "layer": self._on_layer,
            "endlayer": self._on_endlayer,
            "input": self._on_input,
            "output": self._on_output,
            "loop": self._on_loop,
            "endloop": self._on_endloop,
            "counter": self._on_counter,
            "reg": self._on_reg,
            "next": self._on_next,
            "last": self._on_last,
            "node": self._on_node,
            "table": self._on_table,
            "stream": self._on_stream,
            "word_in": self._on_word_in,
            "word_out": self._on_word_out,
            "lane": self._on_lane,
        }

    def read(self, lines: Iterable[str]) -> Netlist:
        is_whole = False
        for self._line, raw in enumerate(lines, 1):
            self._text = raw.rstrip("\n")
            words = self._text.split()
            if self._line == 1:
                if self._text != _HEADER:
                    raise self._error("is not the first line of a netlist", allowed=_HEADER)
            elif is_whole:
                raise self._error("stands behind the end")
            elif words == ["end"]:
                is_whole = True
            elif words and not words[0].startswith("#"):
                self._take(words)
        if not is_whole or self._layer is not None:
            raise self._error("is the last line: the netlist is not whole", allowed="a last line `end`")
        return self._netlist

    def _take(self, words: list[str]) -> None:
        handler = self._handlers.get(words[0])
        if handler is None:
            raise self._error(f"begins with {words[0]!r}", allowed=", ".join(self._handlers))
        if self._layer is None and words[0] != "layer":
            raise self._error("stands outside of a layer")
        try:
            handler(words[1:])
        except (ValueError, IndexError, KeyError) as error:
            raise self._error(f"is not of the format: {error}") from error

    def _error(self, problem: str, allowed: str = "") -> NetlistError:
        name = f" (layer {self._layer.name!r})" if self._layer is not None else ""
        return NetlistError(f"netlist line {self._line}{name}", f"{self._text[:80]!r} {problem}", allowed=allowed)

    # ---- layers and ports -------------------------------------------------------------------------------------------

    def _begin(self, layer: Layer | None) -> None:
        self._layer = layer
        self._ids: dict[int, int] = {}
        self._constants: dict[int, int] = {}
        self._registers: dict[int, int] = {}  # by id: place
        self._next_of: dict[int, int] = {}
        self._tables: dict[int, int] = {}
        self._nest_of_loop: dict[int, int] = {}
        self._open: _Open | None = None
        self._lanes_wanted: list[int] = []

    @property
    def _now(self) -> Layer:
        assert self._layer is not None
        return self._layer

    def _on_layer(self, words: list[str]) -> None:
        if self._layer is not None:
            raise self._error("stands inside of a layer")
        name, kernel = words
        if any(layer.name == name for layer in self._netlist.layers):
            raise self._error("is the second layer of this name")
        self._begin(Layer(name, kernel))

    def _on_endlayer(self, words: list[str]) -> None:
        if words or self._open is not None or self._lanes_wanted:
            raise self._error("ends a layer in which something is open")
        layer = self._now
        if missing := [id_ for id_, place in self._registers.items() if place not in self._next_of]:
            raise self._error(f"ends a layer whose register {missing[0]} has no `next`")
        layer.registers = [replace(r, next=self._next_of[i]) for i, r in enumerate(layer.registers)]
        self._netlist.layers.append(layer)
        self._layer = None

    def _on_input(self, words: list[str]) -> None:
        id_, tensor, *numbers = words
        index, width, is_signed, lo, hi = map(int, numbers)
        port = Port(tensor, index, width, bool(is_signed))
        self._fits(lo, hi, width, bool(is_signed))
        self._now.inputs.append(port)
        if id_ != "-":
            self._define(int(id_), Node(Op.INPUT, (), lo, hi, (len(self._now.inputs) - 1,)))

    def _on_output(self, words: list[str]) -> None:
        tensor, index, width, is_signed, ref = words
        node = self._static(self._ref(ref))
        lo, hi = self._now.nodes[node].lo, self._now.nodes[node].hi
        self._fits(lo, hi, int(width), is_signed == "1")
        self._now.outputs.append(Port(tensor, int(index), int(width), is_signed == "1", node))

    def _fits(self, lo: int, hi: int, width: int, is_signed: bool) -> None:
        least, most = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if is_signed else (0, (1 << width) - 1)
        if not least <= lo <= hi <= most:
            raise self._error(f"has values {lo} .. {hi}", allowed=f"{least} .. {most}")

    # ---- loops ------------------------------------------------------------------------------------------------------

    def _on_loop(self, words: list[str]) -> None:
        id_, parent, trips, gap, _ = words
        if parent == "-":
            if self._open is not None:
                raise self._error("begins a nest inside of another one")
            self._open = _Open(len(self._now.nests))
            self._now.nests.append(Nest(()))
        if self._open is None or self._open.is_closing or (parent != "-" and self._open.ids[-1] != int(parent)):
            raise self._error("has a parent that is not the innermost open loop")
        if int(trips) < 2 or int(gap) < 1:
            raise self._error("has too few trips or cycles", allowed="2 or more trips, 1 or more cycles")
        self._open.ids.append(int(id_))
        self._open.trips.append(int(trips))
        self._open.interval = max(self._open.interval, int(gap))
        self._nest_of_loop[int(id_)] = self._open.number
        self._now.nests[self._open.number] = Nest(tuple(self._open.trips), self._open.interval)

    def _on_endloop(self, words: list[str]) -> None:
        (id_,) = map(int, words)
        if self._open is None or self._open.ids.pop() != id_:
            raise self._error("does not close the innermost open loop")
        self._open.is_closing = True
        if not self._open.ids:
            self._open = None

    def _on_counter(self, words: list[str]) -> None:
        id_, loop, lo, hi = map(int, words)
        if self._open is None or loop not in self._open.ids:
            raise self._error("counts a loop that is not open")
        place = self._open.ids.index(loop)
        if (lo, hi) != (0, self._open.trips[place] - 1):
            raise self._error("does not count the trips of its loop", allowed=f"0 .. {self._open.trips[place] - 1}")
        self._define(id_, Node(Op.COUNTER, (), lo, hi, (place,), self._open.number))

    def _on_reg(self, words: list[str]) -> None:
        id_, loop, lo, hi = map(int, words[:4])
        (reset,) = words[4:]
        if self._open is None or self._open.ids[0] != loop:
            raise self._error("does not belong to the open nest")
        held = None if reset == "-" else self._static(self._ref(reset))
        if held is not None and not (lo <= self._now.nodes[held].lo and self._now.nodes[held].hi <= hi):
            raise self._error("cannot hold its reset")
        self._registers[id_] = len(self._now.registers)
        self._now.registers.append(Register(self._open.number, lo, hi, held, -1))
        self._define(id_, Node(Op.REG, (), lo, hi, (self._registers[id_],), self._open.number))

    def _on_next(self, words: list[str]) -> None:
        register, ref = words
        place = self._registers[int(register)]
        node = self._ref(ref)
        known = self._now.registers[place]
        value = self._now.nodes[node]
        if self._open is None or known.nest != self._open.number or value.nest not in (STATIC, known.nest):
            raise self._error("does not belong to the open nest")
        if not (known.lo <= value.lo and value.hi <= known.hi):
            raise self._error("is more than its register can hold", allowed=f"{known.lo} .. {known.hi}")
        if place in self._next_of:
            raise self._error("is the second `next` of its register")
        self._next_of[place] = node

    def _on_last(self, words: list[str]) -> None:
        id_, register, lo, hi = map(int, words)
        place = self._registers[register]
        if self._open is not None:
            raise self._error("reads a register's last value inside of a loop")
        if place not in self._next_of:
            raise self._error("reads a register that has no `next`")
        self._define(id_, Node(Op.LAST, (), lo, hi, (place,)))

    # ---- nodes ------------------------------------------------------------------------------------------------------

    def _on_node(self, words: list[str]) -> None:
        op = Op(words[1])
        id_, lo, hi = int(words[0]), int(words[2]), int(words[3])
        rest = words[4:]
        n_args, n_param = _OPERANDS.get(op, (len(rest), 0))
        if (
            len(rest) != n_args + n_param
            or (op is Op.PICK and n_args < 2)
            or (op not in _OPERANDS and op is not Op.PICK)
        ):
            raise self._error(f"has {len(rest)} operands", allowed=f"{n_args + n_param}")
        args = tuple(self._ref(word) for word in rest[:n_args])
        param = tuple(int(word) for word in rest[n_args:])
        if any(p < _PARAMETER_FROM[op] for p in param) or (op is Op.SLICE and param[1] < 1):
            raise self._error("has a parameter that is too small")
        if op is Op.ROM:
            param = (self._tables[param[0]],)
        nodes = [self._now.nodes[a] for a in args]
        needed = interval(op, [(n.lo, n.hi) for n in nodes], param, self._now.tables)
        if not (lo <= needed[0] and needed[1] <= hi):
            raise self._error("has an interval that does not hold", allowed=f"{needed[0]} .. {needed[1]}")
        nests = {n.nest for n in nodes} - {STATIC}
        if len(nests) > 1:
            raise self._error("reads values of two loops")
        self._define(id_, Node(op, args, lo, hi, param, nests.pop() if nests else STATIC))

    def _on_table(self, words: list[str]) -> None:
        number, size, *values = map(int, words)
        if size != len(values) or not values:
            raise self._error(f"has {len(values)} entries", allowed=f"{size}")
        self._tables[number] = len(self._now.tables)
        self._now.tables.append(tuple(values))

    def _define(self, id_: int, node: Node) -> None:
        if id_ in self._ids:
            raise self._error(f"defines {id_} a second time")
        if node.lo >= node.hi:
            raise self._error(f"has values {node.lo} .. {node.hi}", allowed="more than one value")
        self._ids[id_] = len(self._now.nodes)
        self._now.nodes.append(node)

    def _ref(self, word: str) -> int:
        if word.startswith("c"):
            value = int(word[1:])
            if value not in self._constants:
                self._constants[value] = len(self._now.nodes)
                self._now.nodes.append(Node(Op.CONST, (), value, value))
            return self._constants[value]
        if not word.startswith("n") or int(word[1:]) not in self._ids:
            raise self._error(f"uses {word!r}, which no earlier line defines")
        return self._ids[int(word[1:])]

    def _static(self, node: int) -> int:
        if self._now.nodes[node].nest != STATIC:
            raise self._error("reads a value of a loop outside of it", allowed="a `last`")
        return node

    # ---- streams ----------------------------------------------------------------------------------------------------

    def _on_stream(self, words: list[str]) -> None:
        name, direction = words[0], words[1]
        lanes, width, is_signed = map(int, words[2:])
        if direction not in ("in", "out"):
            raise self._error("has no direction", allowed="in, out")
        self._now.streams.append(Stream(name, direction == "in", lanes, width, bool(is_signed)))

    def _stream(self, name: str, is_input: bool) -> Stream:
        for stream in self._now.streams:
            if stream.name == name and stream.is_input == is_input:
                return stream
        raise self._error(f"uses a stream {name!r} that no earlier line defines")

    def _word_nest(self) -> int:
        """The open nest; outside of loops, a new one of a single trip."""
        if self._open is not None:
            return self._open.number
        self._now.nests.append(Nest(()))
        return len(self._now.nests) - 1

    def _on_word_in(self, words: list[str]) -> None:
        name, enable, *ids = words
        if len(ids) != self._stream(name, True).lanes:
            raise self._error(f"has {len(ids)} lanes")
        self._now.words.append(Word(name, self._word_nest(), self._ref(enable)))
        self._lanes_wanted = [int(id_) for id_ in ids]

    def _on_lane(self, words: list[str]) -> None:
        id_, lo, hi = map(int, words)
        if not self._lanes_wanted or self._lanes_wanted[0] != id_:
            raise self._error("is not the next lane of a word")
        word = len(self._now.words) - 1
        lane = self._stream(self._now.words[word].stream, True).lanes - len(self._lanes_wanted)
        self._lanes_wanted.pop(0)
        nest = self._now.words[word].nest
        node = Node(Op.LANE, (), lo, hi, (word, lane), nest)
        if self._open is not None:
            self._define(id_, node)
            return
        # What comes outside of loops is kept, as what a loop leaves is.
        self._now.nodes.append(node)
        self._now.registers.append(Register(nest, lo, hi, None, -1))
        register = len(self._now.registers) - 1
        self._next_of[register] = len(self._now.nodes) - 1
        self._define(id_, Node(Op.LAST, (), lo, hi, (register,)))

    def _on_word_out(self, words: list[str]) -> None:
        name, enable, *refs = words
        if len(refs) != self._stream(name, False).lanes:
            raise self._error(f"has {len(refs)} lanes")
        self._now.words.append(Word(name, self._word_nest(), self._ref(enable), tuple(self._ref(r) for r in refs)))
