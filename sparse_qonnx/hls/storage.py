"""Where constants are: in block RAM, where the configuration says so and a kernel reads them word by word."""

from __future__ import annotations

from dataclasses import replace

from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.factors import ROMS
from sparse_qonnx.hls.typed import Layer, TypedGraph

DIRECTIVES = {
    "Vivado": "RESOURCE variable={} core=ROM_2P_BRAM",
    "Vitis": "BIND_STORAGE variable={} type=rom_2p impl=bram",
    "VitisUnified": "BIND_STORAGE variable={} type=rom_2p impl=bram",
    "Verilog": "",
}
"""By backend: Vitis HLS knows `RESOURCE` no more, Vivado HLS `BIND_STORAGE` not yet; Verilog says it to yosys."""


def store(graph: TypedGraph, config: HlsConfig) -> TypedGraph:
    """The graph with a directive on every table that is to be in block RAM."""
    return replace(graph, layers=[_stored(layer, config) for layer in graph.layers])


def _stored(layer: Layer, config: HlsConfig) -> Layer:
    if (config.layer(layer.node).weights or config.weights) != "bram" or layer.trace_only:
        return layer
    roms, directive = ROMS.get(layer.call.function_name, ()), DIRECTIVES[config.backend]
    tables = (
        replace(table, storage=directive.format(table.identifier)) if table.content.name in roms else table
        for table in layer.tables
    )
    return replace(layer, tables=tuple(tables))
