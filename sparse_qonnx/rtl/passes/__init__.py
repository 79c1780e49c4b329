"""Passes over a netlist: each takes a layer and gives one that computes the same."""

from __future__ import annotations

from collections.abc import Callable

from sparse_qonnx.rtl.netlist import Layer, Netlist
from sparse_qonnx.rtl.passes.divisions import multiply_instead
from sparse_qonnx.rtl.passes.gates import balance_gates
from sparse_qonnx.rtl.passes.intervals import Spans, narrow_inputs, narrow_registers, output_spans
from sparse_qonnx.rtl.passes.products import share_products
from sparse_qonnx.rtl.passes.registers import merge_registers
from sparse_qonnx.rtl.passes.resets import drop_resets
from sparse_qonnx.rtl.passes.rows import add_rows
from sparse_qonnx.rtl.passes.sums import balance_sums
from sparse_qonnx.rtl.rebuild import rebuild

Pass = Callable[[Layer], Layer]

PASSES: tuple[Pass, ...] = (
    rebuild,
    narrow_registers,
    merge_registers,
    drop_resets,
    multiply_instead,
    share_products,
    balance_sums,
    balance_gates,
    add_rows,
    rebuild,
)
"""In the order in which they run."""


def clean_up(netlist: Netlist) -> Netlist:
    """All passes over all layers, each of which knows what those before it can give."""
    known: Spans = {}
    layers = []
    for layer in netlist.layers:
        layer = narrow_inputs(layer, known)
        for one in PASSES:
            layer = one(layer)
        layers.append(layer)
        known |= output_spans(layer)
    return Netlist(layers)
