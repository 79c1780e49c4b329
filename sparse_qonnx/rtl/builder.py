"""Making a layer's nodes: equal ones are made once, constants are folded, intervals are as narrow as operands say."""

from __future__ import annotations

from collections.abc import Sequence

from sparse_qonnx.rtl.netlist import STATIC, Layer, Node, Op
from sparse_qonnx.rtl.semantics import Interval, evaluate, interval
from sparse_qonnx.rtl.simplify import RULES

_COMMUTATIVE = frozenset({Op.ADD, Op.MUL, Op.AND, Op.OR, Op.XOR, Op.EQ})


class Builder:
    """A layer in the making, with the name, loops and ports of another one.

    Args:
        source: the layer that is made again.
    """

    def __init__(self, source: Layer) -> None:
        self.layer = Layer(
            source.name,
            source.kernel,
            nests=list(source.nests),
            tables=[],
            inputs=list(source.inputs),
            streams=list(source.streams),
        )
        self.nodes = self.layer.nodes
        self._known: dict[tuple[Op, tuple[int, ...], tuple[int, ...], int], int] = {}
        self._tables: dict[tuple[int, ...], int] = {}

    # ---- asking -----------------------------------------------------------------------------------------------------

    def span(self, node: int) -> Interval:
        """Interval of a node."""
        return self.nodes[node].lo, self.nodes[node].hi

    def constant(self, node: int) -> int | None:
        """The value of a constant."""
        found = self.nodes[node]
        return found.lo if found.op is Op.CONST else None

    def is_bit(self, node: int) -> bool:
        """Whether it is 0 or 1."""
        return self.nodes[node].lo >= 0 and self.nodes[node].hi <= 1

    # ---- making -----------------------------------------------------------------------------------------------------

    def const(self, value: int) -> int:
        """A constant."""
        return self._add(Node(Op.CONST, (), value, value))

    def source(self, node: Node) -> int:
        """An input, counter, register or lane."""
        return self.const(node.lo) if node.lo == node.hi else self._add(node)

    def table(self, values: tuple[int, ...]) -> int:
        """The number of a table."""
        if values not in self._tables:
            self._tables[values] = len(self.layer.tables)
            self.layer.tables.append(values)
        return self._tables[values]

    def rom(self, index: int, values: tuple[int, ...], bounds: Interval | None = None) -> int:
        """A table's entry."""
        return self.make(Op.ROM, (index,), (self.table(values),), bounds)

    def make(self, op: Op, args: Sequence[int], param: tuple[int, ...] = (), bounds: Interval | None = None) -> int:
        """A node, or what is the same and simpler.

        Args:
            op: what gives it.
            args: operands.
            param: constants of the operator.
            bounds: what is known about its value beside what the operands say.
        """
        args = tuple(args)
        tables = self.layer.tables
        fixed = [self.constant(a) for a in args]
        known = [value for value in fixed if value is not None]
        if len(known) == len(fixed):
            return self.const(int(evaluate(op, known, param, tables)))
        lo, hi = interval(op, [self.span(a) for a in args], param, tables)
        if bounds is not None:
            lo, hi = max(lo, bounds[0]), min(hi, bounds[1])
        if lo == hi:
            return self.const(lo)
        if op in _COMMUTATIVE:
            args = tuple(sorted(args, key=lambda a: (self.nodes[a].op is Op.CONST, a)))
        rule = RULES.get(op)
        simpler = rule(self, args, param) if rule is not None else None
        if simpler is not None:
            return self._narrowed(simpler, lo, hi)
        nests = {self.nodes[a].nest for a in args} - {STATIC}
        return self._add(Node(op, args, lo, hi, param, nests.pop() if nests else STATIC))

    def _add(self, node: Node) -> int:
        key = (node.op, node.args, (node.lo,) if node.op is Op.CONST else node.param, node.nest)
        found = self._known.get(key)
        if found is not None:
            return self._narrowed(found, node.lo, node.hi)
        self._known[key] = len(self.nodes)
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _narrowed(self, id_: int, lo: int, hi: int) -> int:
        """The same node, with what is known about it in addition."""
        node = self.nodes[id_]
        if node.op is not Op.CONST and (lo > node.lo or hi < node.hi):
            lo, hi = max(lo, node.lo), min(hi, node.hi)
            if lo < hi:
                self.nodes[id_] = Node(node.op, node.args, lo, hi, node.param, node.nest)
        return id_
