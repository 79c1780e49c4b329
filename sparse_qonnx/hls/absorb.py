"""Calls that need no hardware of their own, because the one that reads their result does their work as well.

They stay in the graph, `trace_only`: C-simulation still shows their tensors.
"""

from __future__ import annotations

from dataclasses import replace

from sparse_qonnx.hls.typed import Layer, TypedGraph
from sparse_qonnx.hlscall import Symbol

CLAMPS = ("SAT", "SAT_SYM", "SAT_NARROW")


def relu_into_quantizer(graph: TypedGraph) -> TypedGraph:
    """A quantizer without sign that saturates gives 0 for everything below 0: the ReLU before it changes nothing.

    Every rounding mode is monotone and keeps 0, so what was below 0 is not above it afterwards.
    """
    outputs = {t.identifier for t in graph.outputs}
    layers = list(graph.layers)
    producers = {t.identifier: n for n, layer in enumerate(layers) for t in layer.outputs}
    for n, layer in enumerate(layers):
        source = producers.get(layer.inputs[0].identifier)
        if source is None or layers[source].call.kernel != "relu" or layer.inputs[0].identifier in outputs:
            continue
        if _clamps_at_zero(layer):
            relu = layers[source]
            op_type = f"{relu.op_type}, {layer.op_type}"
            layers[n] = replace(layer, op_type=op_type, inputs=(*relu.inputs, *layer.inputs[1:]))
            layers[source] = replace(relu, trace_only=True)
    return replace(graph, layers=layers)


def _clamps_at_zero(layer: Layer) -> bool:
    mode = layer.call.config.get("overflow_mode")
    if layer.call.kernel != "fixed_point_quant" or not isinstance(mode, Symbol) or mode.name not in CLAMPS:
        return False
    if "is_signed" in layer.call.config:
        return layer.call.config["is_signed"] is False
    return not any(layer.call.table("sign").values.flat)


def can_read_pixels(dense: Layer, scatter: Layer | None) -> bool:
    """Whether a dense layer can read the pixels that a scatter would spread out."""
    return scatter is not None and dense.call.function_name == "dense" and dense.call.config["n_rows"] == 1


def scatter_into_dense(graph: TypedGraph, dense: int, scatter: int) -> TypedGraph:
    """The dense layer at position `dense` reads the pixels that the scatter at position `scatter` spreads out."""
    layers = list(graph.layers)
    source, layer = layers[scatter], layers[dense]
    config = layer.call.config
    rows = layer.call.table("weights").values.shape[0]
    call = replace(
        layer.call,
        kernel="sparse_dense",
        function="sparse_dense",
        inputs=(0, 1),
        config={
            **source.call.config,
            "n_outputs": config["n_outputs"],
            "accum_t": config["accum_t"],
            "pixels_per_cycle": 1,
        },
        notes=(*layer.call.notes, f"of its {rows} rows of weights reads those of the pixels: no dense vector"),
    )
    op_type = f"{source.op_type}, {layer.op_type}"
    layers[dense] = replace(layer, op_type=op_type, call=call, inputs=source.inputs)
    layers[scatter] = replace(source, trace_only=True)
    return replace(graph, layers=layers)
