"""Ports as AXI-streams (`io_type: io_stream`): an event arrives and leaves word by word.

An image that an input reduction reads is never stored: the reduction takes its pixels from the stream, one chunk a
word. Every other port has a kernel of `io_stream.h` between its words and the array of the layer behind it.
"""

from __future__ import annotations

from dataclasses import replace

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.hls.identifiers import Namer
from sparse_qonnx.hls.typed import Layer, Tensor, TypedGraph
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.naming import Names

MAX_WORD_BITS = 4096
"""Widest port of the tools (UG1399, AXI4-Stream interfaces)."""


def stored_bits(kind: FixedPointType) -> int:
    """What one value takes in a word: the tools align it as C++ does, to 1, 2, 4 or a multiple of 8 bytes."""
    size = -(-kind.width // 8)
    return 8 * (1 << (size - 1).bit_length() if size <= 8 else -(-size // 8) * 8)


def stream_ports(graph: TypedGraph) -> None:
    """Make every port of the graph a stream.

    Raises:
        ConfigurationError: a pixel, or a single value, is wider than a port can be.
    """
    namer, names = Namer(_names(graph)), Names(layer.node for layer in graph.layers)
    graph.inputs = [_input(graph, tensor, namer, names) for tensor in graph.inputs]
    graph.outputs = [_output(graph, tensor, namer, names) for tensor in graph.outputs]


def words_of_chunks(graph: TypedGraph) -> TypedGraph:
    """The words of an image are the chunks that its input reduction looks at, once those are chosen."""
    sizes = {}
    for layer in graph.layers:
        if layer.call.kernel == "input_reduce" and layer.inputs[0].values_per_word:
            pixels, channels = layer.call.config["pixels_per_cycle"], layer.call.config["n_channels"]
            assert isinstance(pixels, int) and isinstance(channels, int)
            sizes[layer.inputs[0].identifier] = pixels * channels

    def sized(tensor: Tensor) -> Tensor:
        return replace(tensor, values_per_word=sizes.get(tensor.identifier, tensor.values_per_word))

    layers = [replace(layer, inputs=tuple(map(sized, layer.inputs))) for layer in graph.layers]
    return replace(graph, layers=layers, inputs=[sized(tensor) for tensor in graph.inputs])


def _names(graph: TypedGraph) -> tuple[str, ...]:
    names = [graph.top, graph.namespace, "defines", "parameters"]
    for tensor in graph.arrays:
        names += [tensor.identifier, tensor.type_name]
    for layer in graph.layers:
        names += [layer.config_name, *(n for table in layer.tables for n in (table.identifier, table.type_name))]
    return tuple(names)


def _input(graph: TypedGraph, tensor: Tensor, namer: Namer, names: Names) -> Tensor:
    readers = [n for n, layer in enumerate(graph.layers) if tensor in layer.inputs]
    if [graph.layers[n].call.kernel for n in readers] == ["input_reduce"]:
        channels = tensor.shape[-1]
        _check_width(tensor, channels, "a pixel")
        port = replace(tensor, values_per_word=channels)
        _reconnect(graph, tensor, port)
        return port
    port = replace(tensor, values_per_word=_word(tensor))
    array = replace(tensor, identifier=namer(f"{tensor.identifier}_values"))
    _reconnect(graph, tensor, array)
    graph.layers.insert(0, _adapter("stream_to_array", port, array, namer, names))
    return port


def _output(graph: TypedGraph, tensor: Tensor, namer: Namer, names: Names) -> Tensor:
    port = replace(tensor, values_per_word=_word(tensor))
    array = replace(tensor, identifier=namer(f"{tensor.identifier}_values"))
    for n, layer in enumerate(graph.layers):
        outputs = tuple(array if t.identifier == tensor.identifier else t for t in layer.outputs)
        graph.layers[n] = replace(layer, outputs=outputs)
    graph.layers.append(_adapter("array_to_stream", array, port, namer, names))
    return port


def _reconnect(graph: TypedGraph, old: Tensor, new: Tensor) -> None:
    """Readers of the array `old` read `new`."""
    for n, layer in enumerate(graph.layers):
        inputs = tuple(new if t.identifier == old.identifier else t for t in layer.inputs)
        graph.layers[n] = replace(layer, inputs=inputs)


def _adapter(function: str, source: Tensor, target: Tensor, namer: Namer, names: Names) -> Layer:
    size = max(source.values_per_word, target.values_per_word)
    call = HlsCall("io_stream", config={"n_values": source.size, "n_word_values": size}, function=function)
    name = names(f"{source.name} {'from' if function == 'stream_to_array' else 'to'} stream")
    return Layer(name, "io_stream", namer(f"{source.identifier}_stream_config"), call, (source,), (target,), ())


def _word(tensor: Tensor) -> int:
    """Values of one word: the last dimension, or as large a part of it as fits."""
    _check_width(tensor, 1, "a value")
    last = tensor.shape[-1] if tensor.shape else 1
    return max(n for n in range(1, last + 1) if last % n == 0 and n * stored_bits(tensor.type) <= MAX_WORD_BITS)


def _check_width(tensor: Tensor, values: int, what: str) -> None:
    bits = values * stored_bits(tensor.type)
    if bits > MAX_WORD_BITS:
        problem = f"io_type is 'io_stream', but {what} of {tensor.name!r} takes {bits} bits"
        allowed = f"words of at most {MAX_WORD_BITS} bits"
        raise ConfigurationError("HLS configuration", problem, allowed=allowed, fix="use io_type: io_parallel")
