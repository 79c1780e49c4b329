"""What a design would instantiate, counted: the nodes of its netlist, which the kernels themselves record.

Counts are of hardware before anything optimizes it across operations; they depend on the design only, never on data,
and every variant of a kernel is counted by the same instrument.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.table import Table as RichTable

from sparse_qonnx import html
from sparse_qonnx.hls.schedule import schedule
from sparse_qonnx.hls.typed import Layer, TypedGraph
from sparse_qonnx.rtl import count
from sparse_qonnx.rtl import record as recorder
from sparse_qonnx.rtl.reader import read_netlist
from sparse_qonnx.text import marked_up

KINDS = ("multiply", "multiply_constant", "add", "compare", "select", "register", "rom", "logic")
"""Kinds of operations: of two variables, of a variable and a constant, and so on; see `Operations.bits`."""

HEADLINE = ("multiply", "multiply_constant", "select")
"""What an FPGA design of this kind consists of: the bits by which two designs are compared."""


@dataclass
class Operations:
    """Instances of operations by kind and operand widths.

    Attributes:
        counts: instances by `(kind, a_bits, b_bits)`; b_bits is 1 where there is one operand or one width.
        buffer_bits: registers of the arrays that the layer hands on.
    """

    counts: Counter[tuple[str, int, int]] = field(default_factory=Counter)
    buffer_bits: int = 0

    def instances(self, kind: str) -> int:
        """How many there are; of `select`: inputs of selectors; of `rom`: entries."""
        return sum(n for (k, _, _), n in self.counts.items() if k == kind)

    def bits(self, *kinds: str) -> int:
        """Their bits: a product of the operands' widths for multiplications, inputs times width for selectors."""
        return sum(n * a * b for (kind, a, b), n in self.counts.items() if kind in kinds)

    def __add__(self, other: Operations) -> Operations:
        return Operations(self.counts + other.counts, self.buffer_bits + other.buffer_bits)

    def figures(self) -> dict[str, int]:
        """The columns of the table."""
        return {
            "multiplications": self.instances("multiply"),
            "constant_multiplications": self.instances("multiply_constant"),
            "multiply_bits": self.bits("multiply"),
            "constant_multiply_bits": self.bits("multiply_constant"),
            "select_bits": self.bits("select"),
            "add_bits": self.bits("add"),
            "compare_bits": self.bits("compare"),
            "logic_bits": self.bits("logic"),
            "rom_bits": self.bits("rom"),
            "register_bits": self.bits("register"),
            "buffer_bits": self.buffer_bits,
            "headline_bits": self.bits(*HEADLINE),
        }


@dataclass(frozen=True)
class LayerCensus:
    """One layer.

    Attributes:
        layer: name of the node in the ONNX file.
        kernel: the function template it calls.
        operations: what it instantiates.
        interval: cycles from one event to the next, by the schedule.
        latency: cycles from its inputs to its results, by the schedule.
        cycles: what its loops take, by the pragmas that the kernel itself states; 0 without a loop.
    """

    layer: str
    kernel: str
    operations: Operations
    interval: int
    latency: int
    cycles: int


@dataclass(frozen=True)
class Census:
    """Counts per layer and in total.

    Attributes:
        layers: in the order of the dataflow.
        interval: cycles from one event to the next: of the slowest layer.
        latency: cycles from an event to its outputs, along the longest path.
    """

    layers: tuple[LayerCensus, ...]
    interval: int
    latency: int

    @property
    def total(self) -> Operations:
        """All layers together."""
        return sum((la.operations for la in self.layers), Operations())

    @property
    def headline_bits(self) -> int:
        """Multiplier and selector bits of the whole design."""
        return self.total.bits(*HEADLINE)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row a layer and a last one, `total`: ready for `pandas.DataFrame`."""
        rows = [
            {"layer": la.layer, "kernel": la.kernel, "interval": la.interval, "latency": la.latency}
            | la.operations.figures()
            for la in self.layers
        ]
        total = {"layer": "total", "kernel": "", "interval": self.interval, "latency": self.latency}
        return [*rows, total | self.total.figures()]

    def to_dict(self) -> dict[str, Any]:
        """Rows and, per layer, every width: ready for JSON."""
        widths = {
            la.layer: [
                {"kind": kind, "a_bits": a, "b_bits": b, "instances": n}
                for (kind, a, b), n in sorted(la.operations.counts.items())
            ]
            for la in self.layers
        }
        return {"rows": self.rows, "operations": widths}

    @property
    def table(self) -> RichTable:
        """For a terminal of 80 columns; `rows` has more columns and every digit."""
        caption = "bits; mult: of two variables, const: by constants, reg: state and arrays between layers"
        table = RichTable(
            title="What the design instantiates", caption=caption, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
        )
        table.add_column("layer", overflow="fold")
        for title, *_ in _COLUMNS:
            table.add_column(title, justify="right", no_wrap=True)
        for row in self.rows:
            if row["layer"] == "total":
                table.add_section()
            table.add_row(marked_up(row["layer"]), *(_short(sum(row[key] for key in keys)) for _, *keys in _COLUMNS))
        return table

    def to_html_table(self) -> html.Table:
        """The same table for HTML."""
        notes = ["Bits of operations before synthesis. mult: of two variables, const: by constants, select: inputs of "]
        notes[0] += "selectors, comp: comparisons, reg: state and arrays between layers."
        rows = [(row["layer"], *(f"{sum(row[key] for key in keys):,}" for _, *keys in _COLUMNS)) for row in self.rows]
        return html.Table("What the design instantiates", ("layer", *(t for t, *_ in _COLUMNS)), rows, notes)

    def _repr_html_(self) -> str | None:
        return html.for_notebook(self.to_html_table())


_COLUMNS = (
    ("interval", "interval"),
    ("latency", "latency"),
    ("mult", "multiply_bits"),
    ("const", "constant_multiply_bits"),
    ("select", "select_bits"),
    ("add", "add_bits"),
    ("comp", "compare_bits"),
    ("ROM", "rom_bits"),
    ("reg", "register_bits", "buffer_bits"),
)


def _short(number: int) -> str:
    return str(number) if number < 10_000 else f"{number / 1000:,.0f}k"


def take_census(graph: TypedGraph) -> Census:
    """Count a design's operations.

    Args:
        graph: with variants and factors chosen.

    Raises:
        ToolError: no compiler.
        UnsupportedNodeError, ModelFileError: a netlist that cannot be recorded, or is too large.
    """
    plan = schedule(graph)
    recorded = {layer.name: layer for layer in read_netlist(recorder.record(graph).splitlines()).layers}
    layers = []
    for layer, stage in zip(graph.layers, plan.stages, strict=True):
        if not layer.trace_only:
            hardware, kernel = recorded[layer.config_name], layer.call.function_name
            operations = Operations(count.instances(hardware), _buffer_bits(layer, graph))
            cycles = count.cycles(hardware)
            layers.append(LayerCensus(layer.node, kernel, operations, stage.interval, stage.latency, cycles))
    return Census(tuple(layers), plan.interval, plan.latency)


def _buffer_bits(layer: Layer, graph: TypedGraph) -> int:
    """Arrays between two stages of a dataflow region are there twice, one written while the other is read."""
    outputs = {t.identifier for t in graph.outputs}
    return sum(
        (t.values_per_word or t.size) * t.type.width * (1 if t.identifier in outputs else 2) for t in layer.outputs
    )
