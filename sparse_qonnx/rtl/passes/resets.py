"""Registers that are always written before they are read begin with anything."""

from __future__ import annotations

from dataclasses import replace

from sparse_qonnx.rtl.netlist import Layer
from sparse_qonnx.rtl.trips import Trips


def drop_resets(layer: Layer) -> Layer:
    """Without resets that nobody sees: an array that a loop writes from end to end need not be emptied before."""
    if not layer.registers:
        return layer
    trips = Trips(layer)
    kept = [
        r if r.reset is None or not trips.is_rewritten(n) else replace(r, reset=None)
        for n, r in enumerate(layer.registers)
    ]
    return replace(layer, registers=kept)
