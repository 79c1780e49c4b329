"""What the report says of each layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sparse_qonnx.hls.census import Census, Operations
from sparse_qonnx.hls.project import HlsProject
from sparse_qonnx.layers import Layer, LayeredGraph, Quantizer, Weights, describe_shape


@dataclass(frozen=True)
class Firmware:
    """A project and what it instantiates."""

    project: HlsProject
    census: Census


def layer_facts(graph: LayeredGraph, layer: Layer, firmware: Firmware | None) -> list[tuple[str, list[str]]]:
    """Names and values, in the order to show them."""
    results = [f"{graph.shown(name)}: {describe_shape(graph.shape(name)[1:])}" for name in layer.outputs]
    kinds = [
        f"{graph.exact_type(name)}, held in {'float64' if graph.is_wide(name) else 'float32'}" for name in layer.outputs
    ]
    facts = [
        ("Reads", [", ".join(layer.sources) or "nothing"]),
        ("Result", results),
        ("Exact type", kinds),
        ("Why exact", [graph.why_exact(layer)]),
    ]
    if layer.quantizers:
        facts.append(("Quantizers", [describe_quantizer(q) for q in layer.quantizers]))
    if layer.weights:
        facts.append(("Weights", [describe_weights(w) for w in layer.weights]))
    if firmware is not None:
        facts += _hardware(graph, layer, firmware)
    return facts


def describe_quantizer(quantizer: Quantizer) -> str:
    """Its format, or the range of its formats, and its modes."""
    form = quantizer.format
    widths = form.widths
    least, most = int(widths.min()), int(widths.max())
    bits = f"{most} bits" if least == most else f"{least} to {most} bits"
    if widths.size == 1:
        kind = "ap_fixed" if int(form.signed.reshape(-1)[0]) else "ap_ufixed"
        bits = f"{kind}<{most},{most - int(form.fractional_bits.reshape(-1)[0])}>"
    elif form.at_pixels or len(widths.shape) >= 3:
        bits += f", a format for each of {describe_shape(widths.shape)} (pixels, channels)"
    else:
        bits += f", a format for each of {widths.size}"
    return f"{quantizer.node}: {bits}, {form.rounding}, {form.overflow}"


def describe_weights(weights: Weights) -> str:
    """How many, which type, how many zeros."""
    values = weights.values
    share = f"{weights.zeros / max(values.size, 1):.0%} zeros"
    return f"{weights.name}: {describe_shape(values.shape) or 'one'}, {weights.grid.type}, {share}"


def _hardware(graph: LayeredGraph, layer: Layer, firmware: Firmware) -> Iterator[tuple[str, list[str]]]:
    """Stages of the firmware that come from this layer's nodes, and what they instantiate."""
    stages = [stage for stage in firmware.census.layers if graph.layer_of_stage(stage.layer) == layer.name]
    if not stages:
        return
    yield "Firmware", [f"{s.layer}: {s.kernel}, interval {s.interval}, latency {s.latency}" for s in stages]
    choices = [c for c in firmware.project.choices.table if graph.layer_of_stage(c.layer) == layer.name]
    if choices:
        yield "Chosen", [f"{c.layer}: {c.describe_factors()} ({c.why})" for c in choices]
    total = sum((stage.operations for stage in stages), Operations())
    figures = total.figures()
    yield (
        "Counted operations",
        [
            f"{figures['multiplications']:,} multiplications of variables, "
            f"{figures['constant_multiplications']:,} by constants",
            f"{figures['select_bits']:,} bits of selectors, {figures['add_bits']:,} of adders, "
            f"{figures['register_bits'] + figures['buffer_bits']:,} of registers",
        ],
    )
