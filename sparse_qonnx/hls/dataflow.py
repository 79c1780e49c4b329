"""Make the typed graph a legal dataflow region: every array is written once and read once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sparse_qonnx.hls.identifiers import Namer
from sparse_qonnx.hls.typed import Layer, Tensor, TypedGraph
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.naming import Names


def single_readers(graph: TypedGraph, namer: Namer) -> None:
    """Give every reader of an array its own copy, forked off just before it; an interface output counts as a reader."""
    left = Counter(t.identifier for layer in graph.layers for t in layer.inputs)
    left.update(t.identifier for t in graph.outputs)
    names = Names(layer.node for layer in graph.layers)
    rest: dict[str, str] = {}  # by array: the copy that nobody has read yet
    layers: list[Layer] = []
    for layer in graph.layers:
        inputs = []
        for tensor in layer.inputs:
            key = tensor.identifier
            source = replace(tensor, identifier=rest.get(key, key))
            left[key] -= 1
            if left[key] > 0:
                fork = _fork(source, tensor, layer, namer, names(f"{tensor.name} for {layer.node}"))
                layers.append(fork)
                source, rest[key] = fork.outputs[0], fork.outputs[1].identifier
            inputs.append(source)
        layers.append(replace(layer, inputs=tuple(inputs)))
    graph.layers = layers
    graph.outputs = [replace(t, identifier=rest.get(t.identifier, t.identifier)) for t in graph.outputs]


def _fork(source: Tensor, original: Tensor, reader: Layer, namer: Namer, name: str) -> Layer:
    copy = replace(source, identifier=namer(f"{original.identifier}_{reader.node}"))
    rest = replace(source, identifier=namer(f"{original.identifier}_rest"))
    config = namer(f"fork_{reader.node}_config")
    call = HlsCall("fork", config={"n_values": source.size})
    return Layer(name, "fork", config, call, (source,), (copy, rest), ())
