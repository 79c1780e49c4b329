"""Choose every variant and parallel factor: no stage faster, and so larger, than the slowest one lets it be.

From a target interval (that of the slowest necessary stage, unless given) each layer takes its smallest design that
keeps up. Then, as long as the whole takes longer than its latency budget, the step that costs the least for each cycle
it saves is taken. What the configuration asks for is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from sparse_qonnx import html
from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.hls.absorb import can_read_pixels, relu_into_quantizer, scatter_into_dense
from sparse_qonnx.hls.config import HlsConfig, LayerConfig
from sparse_qonnx.hls.factors import Design, designs
from sparse_qonnx.hls.schedule import Schedule, Stage, critical_path, schedule, stage
from sparse_qonnx.hls.storage import store
from sparse_qonnx.hls.streaming import words_of_chunks
from sparse_qonnx.hls.typed import Layer, TypedGraph

WHERE = "HLS configuration"
PATIENCE = 1.6
"""Default latency budget, in multiples of what the fastest factors would give: the last cycles cost the most."""


@dataclass(frozen=True)
class Choice:
    """What one layer has become, and why.

    Attributes:
        layer: name of the node.
        kernel: function template.
        variant: its name in the configuration; empty where the kernel has one only.
        factors: options that give this design.
        interval, latency: cycles, by the schedule.
        multipliers: of two variables.
        why: what decided.
    """

    layer: str
    kernel: str
    variant: str
    factors: Mapping[str, int]
    interval: int
    latency: int
    multipliers: int
    why: str

    def describe_factors(self) -> str:
        """The factors in one line."""
        return ", ".join(f"{name} {value}" for name, value in self.factors.items()) or "-"


@dataclass(frozen=True)
class Choices:
    """The balanced graph.

    Attributes:
        graph: with the factors in its calls.
        table: one row for every layer that had a choice.
        schedule: of the graph.
    """

    graph: TypedGraph
    table: tuple[Choice, ...]
    schedule: Schedule

    def to_html_table(self) -> html.Table:
        """The choices for HTML."""
        columns = ("layer", "kernel", "factors", "why", "interval", "latency", "multipliers")
        rows = [
            (c.layer, c.kernel, c.describe_factors(), c.why, f"{c.interval:,}", f"{c.latency:,}", f"{c.multipliers:,}")
            for c in self.table
        ]
        times = f"All together: interval {self.schedule.interval:,}, latency {self.schedule.latency:,} cycles."
        return html.Table("Chosen variants and factors", columns, rows, [times], texts=4)


def balance(graph: TypedGraph, config: HlsConfig) -> Choices:
    """Choose all variants and factors.

    Raises:
        ConfigurationError: options that exclude each other, or an interval or budget that cannot be met.
    """
    is_published = config.design == "published"
    graph = relu_into_quantizer(graph if is_published else _ordered(graph))
    graph = _pixels_into_dense(graph, config, is_published)
    options = [_options(layer, config.layer(layer.node), is_published) for layer in graph.layers]
    target = config.target_interval or _necessary(options)
    picked = [_smallest(layer, found, target) for layer, found in zip(graph.layers, options, strict=True)]
    why = [f"smallest within {target} cycles" for _ in picked]
    budget = config.latency_budget or int(PATIENCE * _fastest(graph, options))
    if not is_published:
        _hurry(graph, options, picked, why, budget, target, is_asked=config.latency_budget is not None)
    chosen = [option.design for option in picked]
    done = store(_built(graph, chosen), config)
    multipliers = sum(design.multipliers for design in chosen)
    if config.multiplier_budget is not None and multipliers > config.multiplier_budget:
        problem = f"multiplier_budget is {config.multiplier_budget}, but the design needs {multipliers}"
        fix = f"raise it, or raise target_interval (now {target}) or latency_budget (now {budget})"
        raise ConfigurationError(WHERE, problem, allowed=f"{multipliers} or more", fix=fix)
    times = schedule(done)
    rows = []
    for layer, design, found, reason, own in zip(done.layers, chosen, options, why, times.stages, strict=True):
        if len(found) > 1 or config.layer(layer.node).given:
            text = "as configured" if len(found) == 1 else reason
            how = (layer.call.function_name, design.variant, design.factors)
            rows.append(Choice(layer.node, *how, own.interval, own.latency, design.multipliers, text))
    return Choices(done, tuple(rows), times)


# ---- what is possible -----------------------------------------------------------------------------------------------


def _designs(layer: Layer, asked: LayerConfig, is_published: bool) -> list[Design]:
    if layer.trace_only:
        return [Design("", {}, layer.call)]
    if is_published:
        asked = replace(asked, **_PUBLISHED.get(layer.call.kernel, {}))
    found = designs(layer, asked)
    if is_published and layer.call.kernel in ("sparse_conv", "sparse_pool"):
        return [max(found, key=lambda design: design.bits)]
    if not found:
        given = ", ".join(f"{key} {value!r}" for key, value in asked.given.items())
        known = designs(layer, LayerConfig())
        allowed = "; ".join(sorted({" ".join([d.variant, *d.factors]).strip() for d in known}))
        problem = f"{given} do not go together"
        raise ConfigurationError(f"{WHERE}, layer {layer.node!r}", problem, allowed=allowed, fix="leave one out")
    return found


# The design that published firmware uses, for comparison.
_PUBLISHED: dict[str, dict[str, Any]] = {
    "input_reduce": {"variant": "tree"},
    "sparse_conv": {"variant": "pairs"},
    "dense": {"strategy": "latency"},
}


class _Option(NamedTuple):
    """A design, and its place in the schedule."""

    design: Design
    stage: Stage


def _options(layer: Layer, asked: LayerConfig, is_published: bool) -> list[_Option]:
    return [_Option(d, stage(replace(layer, call=d.call))) for d in _designs(layer, asked, is_published)]


def _necessary(options: list[list[_Option]]) -> int:
    """The interval that the slowest stage cannot go below, an input reduction by one row per cycle among them."""
    return max(min(option.stage.interval for option in found) for found in options)


def _fastest(graph: TypedGraph, options: list[list[_Option]]) -> int:
    """Latency of the whole with every layer at its fastest."""
    stages = [min((option.stage for option in found), key=lambda s: s.latency) for found in options]
    return critical_path(graph, tuple(stages))[0]


def _smallest(layer: Layer, found: list[_Option], target: int) -> _Option:
    fitting = [option for option in found if option.stage.interval <= target]
    if not fitting:
        fastest = min(option.stage.interval for option in found)
        problem = f"target_interval is {target}, but layer {layer.node!r} takes {fastest} cycles at its fastest"
        fix = "raise it, or free the factors of the layer"
        raise ConfigurationError(WHERE, problem, allowed=f"{fastest} or more", fix=fix)
    return min(fitting, key=lambda option: (option.design.bits, option.stage.latency))


# ---- latency --------------------------------------------------------------------------------------------------------


def _hurry(
    graph: TypedGraph,
    options: list[list[_Option]],
    picked: list[_Option],
    why: list[str],
    budget: int,
    target: int,
    *,
    is_asked: bool,
) -> None:
    """Take the cheapest steps until the whole is within its latency budget; `picked` and `why` are changed."""
    latencies = [np.array([option.stage.latency for option in found], dtype=float) for found in options]
    bits = [np.array([option.design.bits for option in found], dtype=float) for found in options]
    while True:
        latency, path = critical_path(graph, tuple(option.stage for option in picked))
        if latency <= budget:
            break
        steps = []
        for n in path:
            saved = picked[n].stage.latency - latencies[n]
            is_faster = saved > 0
            if is_faster.any():
                gained = np.where(is_faster, np.minimum(saved, latency - budget), 1)
                costs = np.where(is_faster, (bits[n] - picked[n].design.bits) / gained, np.inf)
                steps.append((costs.min(), n, options[n][int(costs.argmin())]))
        if not steps:
            if is_asked:
                problem = f"latency_budget is {budget}, but the design takes {latency} cycles at its fastest"
                raise ConfigurationError(WHERE, problem, allowed=f"{latency} or more", fix="raise it")
            return
        _, n, option = min(steps, key=lambda step: step[0])
        picked[n] = option
        why[n] = f"faster, for {budget} cycles of the whole"
    _relax(graph, options, picked, budget, target)


def _relax(graph: TypedGraph, options: list[list[_Option]], picked: list[_Option], budget: int, target: int) -> None:
    """Give back what the last steps took too much, the largest savings first; `picked` is changed."""
    while True:
        savings = []
        for n, found in enumerate(options):
            for option in found:
                saved = picked[n].design.bits - option.design.bits
                if saved <= 0 or option.stage.interval > target:
                    continue
                tried = [*picked[:n], option, *picked[n + 1 :]]
                if critical_path(graph, tuple(t.stage for t in tried))[0] <= budget:
                    savings.append((saved, n, option))
        if not savings:
            return
        _, n, picked[n] = max(savings, key=lambda saving: saving[0])


# ---- the graph ------------------------------------------------------------------------------------------------------


def _built(graph: TypedGraph, picked: list[Design]) -> TypedGraph:
    layers = [replace(la, call=design.call) for la, design in zip(graph.layers, picked, strict=True)]
    return words_of_chunks(replace(graph, layers=layers))


def _ordered(graph: TypedGraph) -> TypedGraph:
    """Say where coordinates are in raster order: those of an input reduction are, those of a pooling are not."""
    in_order: set[str] = set()
    layers = []
    for layer in graph.layers:
        if layer.call.kernel == "input_reduce":
            in_order.add(layer.outputs[1].identifier)
        if layer.call.kernel == "fork" and layer.inputs[0].identifier in in_order:
            in_order.update(t.identifier for t in layer.outputs)
        if layer.call.kernel == "sparse_conv":
            ordered = layer.inputs[1].identifier in in_order
            layer = replace(layer, call=layer.call.with_config(is_raster_order=ordered))
        layers.append(layer)
    return replace(graph, layers=layers)


def _pixels_into_dense(graph: TypedGraph, config: HlsConfig, is_published: bool) -> TypedGraph:
    """Fuse dense layers with the scatters they read, unless somebody wants the matrix."""
    scatters = {la.outputs[0].identifier: n for n, la in enumerate(graph.layers) if la.call.kernel == "sparse_to_dense"}
    outputs = {t.identifier for t in graph.outputs}
    for n, layer in enumerate(graph.layers):
        asked, source = config.layer(layer.node), layer.inputs[0].identifier
        scatter = None if source in outputs else scatters.get(source)
        is_possible = can_read_pixels(layer, None if scatter is None else graph.layers[scatter])
        if asked.variant == "sparse" and not is_possible:
            problem = "variant is 'sparse', but the layer does not read scattered pixels alone"
            raise ConfigurationError(f"{WHERE}, layer {layer.node!r}", problem, allowed="matrix", fix="leave it out")
        is_matrix = asked.variant == "matrix" or asked.reuse_factor or asked.strategy
        if is_possible and not is_matrix and (asked.variant == "sparse" or not is_published):
            assert scatter is not None
            graph = scatter_into_dense(graph, n, scatter)
    return graph
