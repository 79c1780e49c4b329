"""Cycles of every kernel call, from its configuration alone: trip counts that the pragmas ask for, and pipeline depths.

Depths follow published reports (Vitis HLS 2023.1, 5 ns): a comparison or a selection of some ten inputs, a
multiplication, or three levels of additions fit one cycle; rounding and saturation to constant places need none. A
chain of processes takes the sum of their latencies and one cycle for each hand-over; a process with a loop accepts the
next event one cycle after its last result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sparse_qonnx.hls.typed import Layer, TypedGraph
from sparse_qonnx.hlscall import Symbol

ADDITIONS_PER_CYCLE = 3
SELECTIONS_PER_CYCLE = 4


@dataclass(frozen=True)
class Stage:
    """One kernel call.

    Attributes:
        layer: `config_name` of the layer.
        interval: cycles from one event to the next.
        latency: cycles from an event's inputs to its results.
    """

    layer: str
    interval: int
    latency: int


@dataclass(frozen=True)
class Schedule:
    """All calls, in the order of `graph.layers`.

    Attributes:
        stages: one per layer.
        interval: of the slowest stage.
        latency: along the longest path from an input to an output.
    """

    stages: tuple[Stage, ...]
    interval: int
    latency: int


def schedule(graph: TypedGraph) -> Schedule:
    """The schedule of a typed graph, with the factors that its calls hold."""
    stages = tuple(stage(layer) for layer in graph.layers)
    return Schedule(stages, max((s.interval for s in stages), default=1), critical_path(graph, stages)[0])


def critical_path(graph: TypedGraph, stages: tuple[Stage, ...]) -> tuple[int, list[int]]:
    """Latency of the longest path, and the positions of the layers on it."""
    ready: dict[str, tuple[int, list[int]]] = {t.identifier: (0, []) for t in graph.inputs}
    for n, (layer, own) in enumerate(zip(graph.layers, stages, strict=True)):
        if layer.trace_only:
            continue
        at, path = max((ready[t.identifier] for t in layer.inputs), key=lambda known: known[0])
        done = at + (1 if path else 0) + own.latency  # a hand-over between processes
        ready.update({t.identifier: (done, [*path, n]) for t in layer.outputs})
    return max((ready[t.identifier] for t in graph.outputs), key=lambda known: known[0], default=(0, []))


def stage(layer: Layer) -> Stage:
    """Interval and latency of one call."""
    if layer.trace_only:
        return Stage(layer.config_name, 0, 0)
    trips, depth = _KERNELS[layer.call.function_name](_Numbers(layer))
    interval = 1 if trips == 1 else trips + depth
    return Stage(layer.config_name, interval, trips - 1 + depth)


class _Numbers:
    """Configuration members of a call, as numbers."""

    def __init__(self, layer: Layer) -> None:
        self._config = layer.call.config

    def __getattr__(self, name: str) -> int:
        value = self._config[name]
        assert isinstance(value, int)
        return value

    def symbol(self, name: str) -> str:
        """An enumerator's name."""
        value = self._config[name]
        assert isinstance(value, Symbol)
        return value.name


def steps(n: int, per_cycle: int) -> int:
    """Cycles for `n` pieces of work."""
    return -(-n // per_cycle)


def _adders(n: int) -> int:
    """Cycles of a tree that adds n numbers."""
    return steps((n - 1).bit_length(), ADDITIONS_PER_CYCLE)


def _selectors(n: int) -> int:
    """Cycles of a network of two-way selections over n places."""
    return steps((n - 1).bit_length(), SELECTIONS_PER_CYCLE)


# Each gives trip count and depth of the pipeline.


def _stream(c: _Numbers) -> tuple[int, int]:
    return c.height * c.width, 3  # select a pixel, compare, place


def _chunk(c: _Numbers) -> tuple[int, int]:
    p = c.pixels_per_cycle
    # select and compare, count, compact, place
    return steps(c.height * c.width, p), 1 + _adders(p) + _selectors(p) + _selectors(c.n_slots)


def _scan(c: _Numbers) -> tuple[int, int]:
    p = c.pixels_per_cycle
    # a trip for every chunk and every slot, and two to fill the registers; then find the first, select, place
    return steps(c.height * c.width, p) + c.n_slots + 2, 1 + _selectors(p) + 1


def _tree(c: _Numbers) -> tuple[int, int]:
    return c.n_slots * c.initiation_interval, 4


def _pairs(c: _Numbers) -> tuple[int, int]:
    trips = steps(c.n_slots, c.pixels_per_cycle) * steps(c.n_slots, c.inputs_per_cycle)
    trips *= c.n_filters // c.filters_per_cycle
    trips *= c.n_channels // c.n_groups // c.channels_per_cycle
    # offsets, weights, products, sum, bias; slots are selected first where there are several steps
    return trips, (trips > 1) + 4 + _adders(c.inputs_per_cycle * c.channels_per_cycle)


def _gather(c: _Numbers) -> tuple[int, int]:
    trips = steps(c.n_slots, c.pixels_per_cycle)
    taps = c.kernel_height * c.kernel_width * (c.n_channels // c.n_groups)
    return trips, (trips > 1) + 3 + _selectors(c.n_slots) + _adders(taps)


def _pool(c: _Numbers) -> tuple[int, int]:
    trips = steps(c.n_slots, c.pixels_per_cycle)
    return trips, (trips > 1) + 2 + _adders(c.n_slots)  # cells, members, sum


def _scatter(c: _Numbers) -> tuple[int, int]:
    return 1, 1 + _selectors(c.n_slots)


def _sparse_dense(c: _Numbers) -> tuple[int, int]:
    trips = steps(c.n_slots, c.pixels_per_cycle)
    # address, ROM, products, sum
    return trips, (trips > 1) + 3 + _adders(c.pixels_per_cycle * c.n_channels + 1)


def _dense(c: _Numbers) -> tuple[int, int]:
    return 1, 1 + _adders(c.n_inputs)


def _dense_reuse(c: _Numbers) -> tuple[int, int]:
    return c.n_rows * steps(c.n_inputs, c.inputs_per_cycle), 3 + _adders(c.inputs_per_cycle + 1)


def _softmax(c: _Numbers) -> tuple[int, int]:
    return c.n_rows, 5 + _adders(c.n_columns)  # largest, two tables and their product, sum, inverse, product


def _words(c: _Numbers) -> tuple[int, int]:
    return c.n_values // c.n_word_values, 1


def _gates(_: _Numbers) -> tuple[int, int]:
    return 1, 0  # between two registers: no cycle of their own


def _elementwise(c: _Numbers) -> tuple[int, int]:
    return 1, int(c.symbol("operation") == "MULTIPLY")


def _conv(c: _Numbers) -> tuple[int, int]:
    trips = steps(c.out_0 * c.out_1 * c.out_2, c.pixels_per_cycle)
    taps = c.kernel_0 * c.kernel_1 * c.kernel_2 * c.n_channels // c.n_groups
    return trips, (trips > 1) + 3 + _adders(taps + 1)  # select a window, products, sum


_KERNELS: dict[str, Callable[[_Numbers], tuple[int, int]]] = {
    "input_reduce_stream": _stream,
    "input_reduce_chunk": _chunk,
    "input_reduce_scan": _scan,
    "input_reduce_tree": _tree,
    "sparse_conv_pairs": _pairs,
    "sparse_conv_gather": _gather,
    "sparse_pool": _pool,
    "sparse_to_dense": _scatter,
    "sparse_dense": _sparse_dense,
    "dense": _dense,
    "dense_reuse": _dense_reuse,
    "dense_adders": lambda c: (1, 1 + steps(c.depth, ADDITIONS_PER_CYCLE)),
    "conv": _conv,
    "reduce": lambda c: (1, _adders(c.n_terms)),
    "gather": lambda c: (steps(c.n_pixels, c.pixels_per_cycle), 2),
    "reduce_to_place": lambda c: (1, _adders(c.n_terms)),
    "transpose": _gates,
    "rearrange": _gates,
    "negate": _gates,
    "magnitude": _gates,
    "clip": _gates,
    "leaky_relu": _gates,
    "thresholded_relu": _gates,
    "relu": _gates,
    "fork": _gates,
    "stream_to_array": _words,
    "array_to_stream": _words,
    "elementwise": _elementwise,
    "elementwise_constant": _elementwise,
    "concat": _gates,
    "fixed_point_quant": lambda c: (1, 3 * (c.divisor > 1)),
    "fixed_point_quant_by_channel": lambda c: (1, 3 * (c.divisor > 1)),
    "fixed_point_quant_by_pixel": lambda c: (c.n_slots, 4 + 2 * (c.divisor > 1)),
    "sigmoid": lambda c: (c.n_values, 3),
    "softmax": _softmax,
}
