"""Random netlists as text: every operator, loops one after the other, registers that are read, kept and left over."""

from __future__ import annotations

import numpy as np

from sparse_qonnx.rtl.netlist import Op, width_of
from sparse_qonnx.rtl.semantics import interval

MOST_BITS = 30
WIDTH = MOST_BITS + 1
"""Of an element of the input."""
_BINARY = (Op.ADD, Op.SUB, Op.MUL, Op.AND, Op.OR, Op.XOR, Op.EQ, Op.LT)


def width_of_tensor(name: str) -> int:
    """Arrays differ in width, also where one is another as it is."""
    return WIDTH + int(name.removeprefix("t_layer")) % 3 if name != "x" else WIDTH


class RandomLayer:
    """One layer, line by line.

    Args:
        rng: where choices come from.
        name: of the layer.
        given: tensors that it may read, with the interval of each element.
    """

    def __init__(self, rng: np.random.Generator, name: str, given: dict[str, list[tuple[int, int]]]) -> None:
        self.rng, self.name = rng, name
        self.lines = [f"layer {name} random_kernel"]
        self.spans: dict[str, tuple[int, int]] = {}
        self.count = 0
        self.tables = 0
        self.static: list[str] = []
        for tensor, spans in given.items():
            for index, (lo, hi) in enumerate(spans):
                ref = self.fresh(lo, hi)
                self.lines.append(f"input {ref[1:]} {tensor} {index} {width_of_tensor(tensor)} 1 {lo} {hi}")
                self.static.append(ref)

    def fresh(self, lo: int, hi: int) -> str:
        """A reference to the next node."""
        self.count += 1
        self.spans[f"n{self.count}"] = (lo, hi)
        return f"n{self.count}"

    def span(self, ref: str) -> tuple[int, int]:
        """What a reference can be."""
        return self.spans[ref] if ref[0] == "n" else (int(ref[1:]), int(ref[1:]))

    def choose(self, refs: list[str], constants: float = 0.15) -> str:
        """One of the nodes, the latest rather, or a constant."""
        if self.rng.random() < constants:
            return f"c{int(self.rng.integers(-9, 10))}"
        near = self.rng.random() < 0.6 and len(refs) > 8
        return str(self.rng.choice(refs[-8:] if near else refs))

    def node(self, op: Op, args: list[str], param: list[int]) -> str | None:
        """A node; None where it would be a constant, or wider than wanted."""
        lo, hi = interval(op, [self.span(a) for a in args], tuple(param), [])
        if lo == hi or width_of(lo, hi) > MOST_BITS:
            return None
        ref = self.fresh(lo, hi)
        self.lines.append(" ".join(["node", ref[1:], op.value, str(lo), str(hi), *args, *map(str, param)]))
        return ref

    def random_node(self, refs: list[str]) -> str | None:
        """Any operator on any operands."""
        kind = self.rng.integers(0, 12)
        a, b = self.choose(refs, 0.0), self.choose(refs)
        if kind < 4:
            args = [a, b] if self.rng.random() < 0.7 else [b, a]
            return self.node(_BINARY[self.rng.integers(len(_BINARY))], args, [])
        if kind == 4:
            bit = self.node(Op.LT, [a, b], [])
            if bit is None:
                return None
            return self.node(Op.MUX, [bit, self.choose(refs), self.choose(refs)], [])
        if kind == 5:
            return self.node(Op.SHL, [a], [int(self.rng.integers(1, 4))])
        if kind == 6:
            return self.node(Op.SHR, [a], [int(self.rng.integers(1, 6))])
        if kind == 7:
            return self.node(Op.SLICE, [a], [int(self.rng.integers(0, 4)), int(self.rng.integers(1, 9))])
        if kind == 8:
            return self.node(Op.WRAP, [a], [int(self.rng.integers(1, 9))])
        if kind == 9:
            op = Op.DIV if self.rng.random() < 0.5 else Op.MOD
            return self.node(op, [a], [int(self.rng.integers(2, 12))])
        if kind == 10:
            return self.indexed(a, refs)
        return self.shifted(a, refs)

    def indexed(self, a: str, refs: list[str]) -> str | None:
        """A table or a choice, by an index that is inside."""
        n = int(self.rng.integers(2, 12))
        index = self.node(Op.SLICE, [a], [0, (n - 1).bit_length()])
        if index is None:
            return None
        n = min(n, 1 << (n - 1).bit_length())
        n = 1 << (n - 1).bit_length()  # every index is inside
        if self.rng.random() < 0.5:
            values = [int(v) for v in self.rng.integers(-20, 20, n)]
            if len(set(values)) == 1:
                return None
            ref = self.fresh(min(values), max(values))
            self.lines.append(f"table {self.tables} {n} {' '.join(map(str, values))}")
            self.lines.append(f"node {ref[1:]} rom {min(values)} {max(values)} {index} {self.tables}")
            self.tables += 1
            return ref
        return self.node(Op.PICK, [index, self.choose(refs, 0.0), *(self.choose(refs) for _ in range(n - 1))], [])

    def shifted(self, a: str, refs: list[str]) -> str | None:
        """A shift by a small variable distance, or an inverted value."""
        if self.rng.random() < 0.3:
            return self.node(Op.COM, [a], [])
        distance = self.node(Op.SLICE, [self.choose(refs, 0.0)], [0, 2])
        if distance is None:
            return None
        if self.rng.random() < 0.5:
            return self.node(Op.VSHR, [a, distance], [])
        return self.node(Op.VSHL, [a, distance], [int(self.rng.integers(2, 20))])

    def grow(self, refs: list[str], n: int) -> None:
        """More nodes at the end of `refs`."""
        for _ in range(n):
            ref = self.random_node(refs)
            if ref is not None:
                refs.append(ref)

    def loop(self, number: int) -> None:
        """A nest of one or two loops with some registers; what it leaves becomes static."""
        trips = [int(self.rng.integers(2, 6)) for _ in range(int(self.rng.integers(1, 3)))]
        refs = list(self.static)
        ids = [10 * number + k for k in range(len(trips))]
        for k, (id_, n) in enumerate(zip(ids, trips, strict=True)):
            parent = "-" if k == 0 else str(ids[k - 1])
            self.lines.append(f"loop {id_} {parent} {n} {1 + int(self.rng.random() < 0.2)} trip")
            counter = self.fresh(0, n - 1)
            self.lines.append(f"counter {counter[1:]} {id_} 0 {n - 1}")
            refs.append(counter)
        counters = refs[-len(trips) :]
        registers = []
        for _ in range(int(self.rng.integers(1, 5))):
            lo, hi = int(self.rng.integers(-40, 0)), int(self.rng.integers(1, 60))
            lo = 0 if self.rng.random() < 0.4 else lo
            resets = [r for r in self.static if lo <= self.span(r)[0] and self.span(r)[1] <= hi]
            reset = str(self.rng.choice(resets)) if resets and self.rng.random() < 0.4 else f"c{hi // 2}"
            ref = self.fresh(lo, hi)
            self.lines.append(f"reg {ref[1:]} {ids[0]} {lo} {hi} {reset}")
            registers.append(ref)
        refs += registers
        self.grow(refs, int(self.rng.integers(4, 20)))
        for ref in registers:
            self.lines.append(f"next {ref[1:]} {self.following(ref, refs, counters)}")
        self.lines += [f"endloop {id_}" for id_ in reversed(ids)]
        for ref in registers:
            last = self.fresh(*self.span(ref))
            self.lines.append(f"last {last[1:]} {ref[1:]} {self.span(ref)[0]} {self.span(ref)[1]}")
            self.static.append(last)

    def following(self, register: str, refs: list[str], counters: list[str]) -> str:
        """What a register takes: anything that fits, or itself where a condition does not hold."""
        lo, hi = self.span(register)
        fitting = [r for r in refs if lo <= self.span(r)[0] and self.span(r)[1] <= hi]
        value = str(self.rng.choice(fitting))
        if self.rng.random() < 0.3:
            return value
        if self.rng.random() < 0.5:
            at = str(self.rng.choice(counters))
            condition = self.node(Op.EQ, [at, f"c{int(self.rng.integers(0, self.span(at)[1] + 1))}"], [])
        else:
            condition = self.node(Op.LT, [self.choose(refs, 0.0), self.choose(refs)], [])
        if condition is None or value == register:
            return value
        chosen = self.node(Op.MUX, [condition, value, register], [])
        return value if chosen is None else chosen

    def finish(self, n_outputs: int) -> tuple[list[str], dict[str, list[tuple[int, int]]]]:
        """The lines, and the tensor that it gives."""
        spans = []
        for index in range(n_outputs):
            ref = self.choose(self.static, 0.05)
            lo, hi = self.span(ref)
            self.lines.append(f"output t_{self.name} {index} {width_of_tensor(f't_{self.name}')} 1 {ref}")
            spans.append((lo, hi) if lo < hi else (lo, lo + 1))
        return [*self.lines, "endlayer"], {f"t_{self.name}": spans}


def random_netlist(seed: int, n_layers: int) -> str:
    """A chain of layers, each of which reads the input and some of the layers before it."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, list[tuple[int, int]]] = {"x": [(-8, 7), (0, 15), (0, 1), (-32, 31), (0, 255)]}
    lines = ["sparse_qonnx_netlist 1"]
    for n in range(n_layers):
        names = list(tensors)
        given = {name: tensors[name] for name in ("x", *names[-2:]) if name in tensors}
        layer = RandomLayer(rng, f"layer{n}", given)
        layer.grow(layer.static, int(rng.integers(0, 15)))
        for number in range(int(rng.integers(0, 3))):
            layer.loop(number)
            layer.grow(layer.static, int(rng.integers(0, 8)))
        text, made = layer.finish(int(rng.integers(2, 6)))
        lines += text
        tensors.update(made)
    return "\n".join([*lines, "end"]) + "\n"


def random_events(seed: int, n_events: int) -> np.ndarray:
    """Values of `x`, `[B, 5]`."""
    rng = np.random.default_rng(seed)
    limits = [(-8, 7), (0, 15), (0, 1), (-32, 31), (0, 255)]
    return np.stack([rng.integers(lo, hi + 1, n_events) for lo, hi in limits], axis=1)
