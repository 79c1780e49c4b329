"""Products with a constant matrix as a graph of additions: distributed arithmetic, found by da4ml.

Weights share partial sums: `5 x0 + 5 x1` and `3 x0 + 3 x1` both start from `x0 + x1`. da4ml looks for what occurs most;
the graph it gives is brought to integers here, and multiplied out again to see that it is the matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.errors import ConfigurationError, ToolError
from sparse_qonnx.grid import Grid
from sparse_qonnx.hlscall import HlsCall, HlsTable

Array = NDArray[Any]

ADDERS = "distributed_arithmetic"
"""The strategy's name."""


@dataclass(frozen=True)
class Adder:
    """`(first << first_shift) + (second << second_shift)`, or their difference; operands by number of their value."""

    first: int
    first_shift: int
    second: int
    second_shift: int
    is_difference: bool


@dataclass(frozen=True)
class Output:
    """`value << shift` (`>>` where it is negative, which drops zeros only), negated or not; `value` is -1 for 0."""

    value: int
    shift: int = 0
    is_negative: bool = False


@dataclass(frozen=True)
class AdderGraph:
    """`x @ weights` for integers: values 0 to K - 1 are the inputs, each adder gives the next one.

    Attributes:
        n_inputs: K.
        adders: in an order in which operands come first.
        outputs: one for each column of the matrix.
    """

    n_inputs: int
    adders: tuple[Adder, ...]
    outputs: tuple[Output, ...]

    @property
    def depth(self) -> int:
        """Adders one after another."""
        level = [0] * self.n_inputs
        for adder in self.adders:
            level.append(1 + max(level[adder.first], level[adder.second]))
        return max(level)

    @property
    def matrix(self) -> Array:
        """The matrix `[K, F]` that it multiplies by, Python integers."""
        rows: list[Array] = list(np.eye(self.n_inputs, dtype=np.int64).astype(object))
        for a in self.adders:
            second = rows[a.second] * (1 << a.second_shift)
            rows.append(rows[a.first] * (1 << a.first_shift) + (-second if a.is_difference else second))
        columns = []
        for out in self.outputs:
            column = np.zeros(self.n_inputs, dtype=object) if out.value < 0 else rows[out.value]
            column = column * (1 << out.shift) if out.shift >= 0 else column // (1 << -out.shift)
            columns.append(-column if out.is_negative else column)
        return np.stack(columns, axis=1)

    def limits(self, lo: Array, hi: Array) -> list[tuple[int, int]]:
        """Limits of every value for inputs between `lo` and `hi`, `[K]`."""
        found = [(int(low), int(high)) for low, high in zip(lo, hi, strict=True)]
        for a in self.adders:
            (low, high), (other_low, other_high) = found[a.first], found[a.second]
            if a.is_difference:
                other_low, other_high = -other_high, -other_low
            found.append(
                (
                    (low << a.first_shift) + (other_low << a.second_shift),
                    (high << a.first_shift) + (other_high << a.second_shift),
                )
            )
        return found


def adder_graph(weights: Array, lo: Array, hi: Array) -> AdderGraph:
    """The adder graph of a matrix.

    Args:
        weights: integers `[K, F]`.
        lo: smallest inputs, integers `[K]`; limits tell da4ml what an addition costs.
        hi: largest inputs.

    Raises:
        ToolError: da4ml is not installed, or gives another matrix.
    """
    try:
        from da4ml.cmvm import solve
    except ImportError as error:
        fix = "pip install 'sparse-qonnx[csim]'"
        raise ToolError("strategy distributed_arithmetic", "the package da4ml is not installed", fix=fix) from error
    kernel = np.asarray(weights, dtype=np.float32)
    intervals = [(float(low), float(high), 1.0) for low, high in zip(lo, hi, strict=True)]
    graph = _without_unused(_flat(solve(kernel, qintervals=intervals).solutions, len(kernel)))
    if (graph.matrix != np.asarray(weights, dtype=object)).any():
        raise ToolError("da4ml", "gives a graph of another matrix", fix="use strategy: latency")
    return graph


def distributed(where: str, call: HlsCall, source: Grid) -> HlsCall:
    """A call of `dense` as one of `dense_adders`.

    Args:
        where: how messages name the layer.
        call: the call.
        source: grid of the data.

    Raises:
        ConfigurationError: there is nothing to add.
        ToolError: da4ml is not installed.
    """
    weights, n_inputs = call.table("weights"), call.config["n_inputs"]
    assert isinstance(n_inputs, int)
    lo, hi = (np.broadcast_to(a, (*a.shape[:-1], n_inputs)).reshape(-1, n_inputs) for a in (source.lo, source.hi))
    low, high = lo.min(axis=0), hi.max(axis=0)
    graph = adder_graph(weights.values, low, high)
    if not graph.adders:
        problem = f"strategy is {ADDERS!r}, but no output adds anything"
        raise ConfigurationError(where, problem, allowed="latency, resource", fix="leave it out")
    limits = graph.limits(low, high)
    pairs = [[_moved(o, end) for end in limits[o.value]] for o in graph.outputs if o.value >= 0]
    sums = np.array([[0, 0], *pairs], dtype=object)
    adders = [[a.first, a.first_shift, a.second, a.second_shift, int(a.is_difference)] for a in graph.adders]
    outputs = [
        [max(o.value, 0), max(o.shift, 0), max(-o.shift, 0), 0 if o.value < 0 else 2 if o.is_negative else 1]
        for o in graph.outputs
    ]
    product = Grid(sums.min(axis=1), sums.max(axis=1), source.frac + weights.frac)
    widest = np.array([max(_widest(graph, limits))], dtype=object)
    config = {key: value for key, value in call.config.items() if key != "accum_t"}
    config |= {"n_adders": len(adders), "depth": graph.depth, "product_t": product}
    config["value_t"] = Grid(-widest, widest, 0)
    tables = (
        HlsTable("adders", np.array(adders, dtype=object), is_integer=True),
        HlsTable("outputs", np.array(outputs, dtype=object), is_integer=True),
        call.table("biases"),
    )
    note = f"{len(adders)} additions instead of {np.count_nonzero(weights.values)} products, {graph.depth} deep"
    return replace(call, function="dense_adders", config=config, tables=tables, notes=(*call.notes, note))


def _moved(out: Output, value: int) -> int:
    moved = value << out.shift if out.shift >= 0 else value >> -out.shift
    return -moved if out.is_negative else moved


def _widest(graph: AdderGraph, limits: list[tuple[int, int]]) -> Iterator[int]:
    """Largest magnitudes of operands, sums and outputs, after their shifts."""
    yield from (max(abs(end) for end in ends) for ends in limits)
    for a in graph.adders:
        for number, shift in ((a.first, a.first_shift), (a.second, a.second_shift)):
            yield max(abs(end) for end in limits[number]) << shift
    for out in graph.outputs:
        if out.value >= 0:
            yield max(abs(end) for end in limits[out.value]) << max(out.shift, 0)


@dataclass(frozen=True)
class _Value:
    """`sign * 2**exponent` times the value of that number."""

    number: int
    exponent: int
    sign: int


def _flat(stages: Any, n_inputs: int) -> AdderGraph:
    """Stages of da4ml, one behind the other, in integers."""
    values: list[_Value | None] = [_Value(n, 0, 1) for n in range(n_inputs)]
    adders: list[Adder] = []
    for stage in stages:
        given = [v and _Value(v.number, v.exponent + s, v.sign) for v, s in zip(values, stage.inp_shifts, strict=True)]
        buffer: list[_Value | None] = []
        for op in stage.ops:
            if op.opcode == -1:
                buffer.append(given[op.id0])
            elif op.opcode in (0, 1):
                buffer.append(_sum(buffer[op.id0], buffer[op.id1], op.data, op.opcode == 1, n_inputs, adders))
            else:
                raise ToolError(
                    "da4ml", f"uses operation {op.opcode}", allowed="additions", fix="use strategy: latency"
                )
        values = []
        for index, shift, negative in zip(stage.out_idxs, stage.out_shifts, stage.out_negs, strict=True):
            held = buffer[index] if index >= 0 else None
            values.append(held and _Value(held.number, held.exponent + shift, -held.sign if negative else held.sign))
    outputs = (Output(-1) if v is None else Output(v.number, v.exponent, v.sign < 0) for v in values)
    return AdderGraph(n_inputs, tuple(adders), tuple(outputs))


def _sum(
    a: _Value | None, b: _Value | None, shift: int, is_difference: bool, n_inputs: int, adders: list[Adder]
) -> _Value | None:
    """a + 2**shift b, or a - 2**shift b; None is 0."""
    if b is not None:
        b = _Value(b.number, b.exponent + shift, -b.sign if is_difference else b.sign)
    if a is None or b is None:
        return b if a is None else a
    if a.sign < b.sign:
        a, b = b, a
    exponent = min(a.exponent, b.exponent)
    adders.append(Adder(a.number, a.exponent - exponent, b.number, b.exponent - exponent, a.sign != b.sign))
    return _Value(n_inputs + len(adders) - 1, exponent, a.sign)


def _without_unused(graph: AdderGraph) -> AdderGraph:
    """Only the adders that some output depends on."""
    n = graph.n_inputs
    needed = {out.value for out in graph.outputs}
    for number in range(n + len(graph.adders) - 1, n - 1, -1):
        if number in needed:
            needed |= {graph.adders[number - n].first, graph.adders[number - n].second}
    numbers = {old: new for new, old in enumerate(sorted({*range(n), *(v for v in needed if v >= 0)}))}
    adders = tuple(
        Adder(numbers[a.first], a.first_shift, numbers[a.second], a.second_shift, a.is_difference)
        for number, a in enumerate(graph.adders, start=n)
        if number in needed
    )
    outputs = tuple(Output(numbers[o.value], o.shift, o.is_negative) if o.value >= 0 else o for o in graph.outputs)
    return AdderGraph(n, adders, outputs)
