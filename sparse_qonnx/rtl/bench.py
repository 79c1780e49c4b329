"""The self-checking test bench in Verilog, its events, and what the design has to answer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from sparse_qonnx.errors import NetlistError
from sparse_qonnx.hls import testbench
from sparse_qonnx.hls.templates import render
from sparse_qonnx.hls.typed import Tensor, TypedGraph
from sparse_qonnx.rtl.design import Design
from sparse_qonnx.rtl.interpret import interpret
from sparse_qonnx.rtl.library import on_grid
from sparse_qonnx.rtl.verilog.names import Names
from sparse_qonnx.rtl.verilog.text import INDENT, declare

Integers = NDArray[np.int64]


def bench_files(graph: TypedGraph, model: ModelProto, design: Design, n_events: int) -> dict[str, str]:
    """`tb_data/*.hex` and `<top>_tb.v`.

    Raises:
        NetlistError: the netlist's answers are not those of the reference.
    """
    events = testbench.random_events(graph, n_events)
    given = {t.identifier: on_grid(t, events[t.name])[0] for t in graph.inputs}
    answers = interpret(design.netlist, given)
    expected = testbench.expected_outputs(graph, model, events)
    for tensor in graph.outputs:
        _compare(tensor, answers[tensor.identifier], expected)
    files = {f"tb_data/{t.identifier}.hex": _hex(given[t.identifier], t.type.width) for t in graph.inputs}
    files |= {f"tb_data/{t.identifier}.hex": _hex(answers[t.identifier], t.type.width) for t in graph.outputs}
    return files | {f"{graph.top}_tb.v": _source(graph, design, n_events)}


def _compare(tensor: Tensor, found: NDArray[np.int64], expected: Mapping[str, NDArray[np.float64]]) -> None:
    """Heads from tables have an error; everything else is the reference's."""
    wanted = expected[tensor.name].reshape(found.shape)
    if not tensor.tolerance and np.any(found * 2.0**-tensor.type.frac != wanted):
        raise NetlistError(f"output {tensor.name!r}", "of the netlist is not the reference's", fix="report it")


def _hex(values: Integers, width: int) -> str:
    """A line an event, element 0 in the lowest bits."""
    digits = -(-values.shape[1] * width // 4)
    lines = []
    for row in values:
        number = 0
        for k, value in enumerate(row):
            number |= (int(value) & ((1 << width) - 1)) << (k * width)
        lines.append(f"{number:0{digits}x}")
    return "\n".join(lines) + "\n"


def _source(graph: TypedGraph, design: Design, n_events: int) -> str:
    names = Names(
        ("clk", "rst", "valid_in", "ready_in", "valid_out", "hardware", "cycle", "pause", "closest", "DATA", graph.top)
    )
    declarations, reads, pins, gives, checks = [], [], [], [], []
    for buses, is_input in ((design.inputs, True), (design.outputs, False)):
        for bus in buses:
            memory, port = names(f"{bus.tensor}_of"), names(bus.tensor)
            declarations.append(f"{declare('reg', memory, bus.bits)} [0:{n_events - 1}];")
            declarations.append(declare("reg" if is_input else "wire", port, bus.bits) + ";")
            reads.append(f'$readmemh({{DATA, "/{bus.tensor}.hex"}}, {memory});')
            pins.append(f".{bus.tensor}({port})")
            if is_input:
                gives.append(f"{port} = {memory}[n_given];")
            else:
                checks.append(f"if ({port} !== {memory}[n_answered]) begin")
                checks.append(f'{INDENT}$display("event %0d, {bus.tensor}: %h instead of %h", n_answered, {port},')
                checks.append(f"{INDENT}{INDENT}{memory}[n_answered]);")
                checks += [f"{INDENT}n_wrong = n_wrong + 1;", "end"]
    pad = "\n" + INDENT
    deep = pad + INDENT * 2
    return render(
        "rtl/bench.v.in",
        TOP=graph.top,
        N_EVENTS=str(n_events),
        INTERVAL=str(design.plan.interval),
        LATENCY=str(design.plan.latency),
        DECLARATIONS=pad.join(declarations),
        READS=(pad + INDENT).join(reads),
        PINS=", ".join(pins),
        GIVE=deep.join(gives),
        CHECK=(deep + INDENT).join(checks),
    )
