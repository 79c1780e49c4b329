"""From the typed graph to Verilog: recorded, cleaned up, scheduled, written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.emit import layer_title
from sparse_qonnx.hls.typed import Tensor, TypedGraph
from sparse_qonnx.rtl.device import Clock
from sparse_qonnx.rtl.netlist import Netlist
from sparse_qonnx.rtl.passes import clean_up
from sparse_qonnx.rtl.reader import read_netlist
from sparse_qonnx.rtl.record import record
from sparse_qonnx.rtl.schedule import Plan, make_plan
from sparse_qonnx.rtl.verilog.layer import Module, write_layer
from sparse_qonnx.rtl.verilog.names import Names
from sparse_qonnx.rtl.verilog.top import Bus, Top, write_top


@dataclass(frozen=True)
class Design:
    """A firmware as Verilog.

    Attributes:
        netlist: cleaned up.
        plan: its schedule.
        clock: what it was pipelined for.
        modules: by layer's `config_name`; layers that are wires have none.
        top: the module that connects them.
        top_name: its name.
        inputs, outputs: ports, in the order of the graph.
    """

    netlist: Netlist
    plan: Plan
    clock: Clock
    modules: Mapping[str, Module]
    top: Top
    top_name: str
    inputs: tuple[Bus, ...]
    outputs: tuple[Bus, ...]


def make_design(graph: TypedGraph, config: HlsConfig) -> Design:
    """The design of a graph.

    Args:
        graph: with variants and factors chosen.
        config: part and clock are read.

    Raises:
        ConfigurationError: a part or an interface that there is no RTL for.
        UnsupportedNodeError: a kernel that cannot be recorded.
        ToolError: no C++ compiler.
    """
    clock = Clock.of(config)
    if any(t.values_per_word for t in (*graph.inputs, *graph.outputs)):
        raise ConfigurationError("backend Verilog", "io_type is 'io_stream'", allowed="io_parallel")
    netlist = clean_up(read_netlist(record(graph).splitlines()))
    inputs, outputs = (tuple(_bus(t) for t in tensors) for tensors in (graph.inputs, graph.outputs))
    plan = make_plan(netlist, _elements(inputs), _elements(outputs), clock.levels)
    names = Names([graph.top])
    titles = {layer.config_name: layer_title(layer) for layer in graph.layers}
    modules: dict[str, Module] = {}
    for layer in plan.layers:
        if not layer.is_empty:
            name = layer.layer.name
            modules[name] = write_layer(layer, names(name.removesuffix("_config")), titles.get(name, name))
    top = write_top(plan, [modules.get(layer.layer.name) for layer in plan.layers], graph.top, inputs, outputs)
    return Design(netlist, plan, clock, modules, top, graph.top, inputs, outputs)


def _bus(tensor: Tensor) -> Bus:
    return Bus(tensor.identifier, tensor.size, tensor.type.width)


def _elements(buses: tuple[Bus, ...]) -> list[tuple[str, int]]:
    return [(bus.tensor, i) for bus in buses for i in range(bus.size)]
