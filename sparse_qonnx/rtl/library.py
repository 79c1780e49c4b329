"""A simulated design with the verbs of the C-simulation's library: numbers in, arrays of the firmware out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.hls.typed import Tensor, TypedGraph
from sparse_qonnx.rtl.design import Design
from sparse_qonnx.rtl.simulate import Integers, Simulation, Timing

Array = NDArray[np.float64]


def on_grid(tensor: Tensor, values: NDArray[Any]) -> tuple[Integers, int]:
    """Values as integers of a port, as C-simulation loads them: nearest, ties to even, saturating, NaN to 0.

    Returns:
        Integers `[B, size]`, and how many values that changed.
    """
    kind = tensor.type
    steps = np.asarray(values, dtype=np.float64).reshape(len(values), tensor.size) * 2.0**kind.frac
    with np.errstate(invalid="ignore"):
        rounded = np.nan_to_num(np.clip(np.rint(steps), kind.lowest, kind.highest), nan=0.0)
    return rounded.astype(np.int64), int(np.count_nonzero(rounded != steps))


def as_numbers(tensor: Tensor, values: Integers) -> Array:
    """Integers of an array as the numbers that it stores."""
    numbers: Array = values.astype(np.float64) * 2.0**-tensor.type.frac
    return numbers


class RtlLibrary:
    """A compiled simulation of a project.

    Args:
        path: the shared library.
        graph: what is in the project.
        design: its Verilog.
    """

    def __init__(self, path: Path, graph: TypedGraph, design: Design) -> None:
        self._graph = graph
        self._tensors = {t.identifier: t for t in graph.arrays}
        signed = {name: self._tensors[name].type.signed for name in design.top.probes}
        self._simulation = Simulation(path, design.inputs, design.top.probes, signed)

    def run(self, inputs: Mapping[str, NDArray[Any]], wanted: Iterable[str]) -> tuple[dict[str, Array], int]:
        """Values of some arrays; see `hls.csim.Library.run`."""
        found, changed, _ = self.run_timed(inputs, wanted)
        return found, changed

    def run_timed(
        self,
        inputs: Mapping[str, NDArray[Any]],
        wanted: Iterable[str],
        gaps: Integers | None = None,
        restarts: Integers | None = None,
    ) -> tuple[dict[str, Array], int, Timing]:
        """The same with pauses between events and resets, see `Simulation.run`, and what was counted."""
        given: dict[str, Integers] = {}
        changed = 0
        for tensor in self._graph.inputs:
            given[tensor.identifier], n = on_grid(tensor, np.asarray(inputs[tensor.name]))
            changed += n
        names = set(wanted)
        shown, timing = self._simulation.run(given, names - set(given), gaps, restarts)
        values = {name: v for name, v in (given | shown).items() if name in names}
        return {name: as_numbers(self._tensors[name], v) for name, v in values.items()}, changed, timing
