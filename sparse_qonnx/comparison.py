"""Counting where two implementations differ, and the table that says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

Array = NDArray[Any]


@dataclass
class Comparison:
    """One tensor as two implementations computed it.

    Attributes:
        tensor: name of the tensor in the ONNX file.
        reference: the implementation that is compared with, onnxruntime on the function bodies.
        other: the implementation that is compared.
        tolerance: largest difference that counts as equal: 0 for every tensor on a fixed-point grid.
        reason: why there is a tolerance.
        values: how many values were compared.
        mismatches: how many of them differ by more than the tolerance.
        largest: largest absolute difference.
    """

    tensor: str
    reference: str
    other: str
    tolerance: float = 0.0
    reason: str = ""
    values: int = 0
    mismatches: int = 0
    largest: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether all values agree."""
        return self.mismatches == 0

    def add(self, reference: Array, other: Array) -> None:
        """Count another batch, values of any (equal) shape; NaN equals NaN.

        A value that one side holds as float32 and the other as float64 is compared as float32: where a quotient was
        rounded, only its nearest float32 is the same number on both sides.
        """
        self.values += reference.size
        if reference.shape != other.shape:
            self.mismatches += reference.size
            self.largest = np.inf
            return
        narrow = np.float32 if np.float32 in (reference.dtype, other.dtype) else np.float64
        a, b = (v.astype(narrow).astype(np.float64) for v in (reference, other))
        with np.errstate(invalid="ignore"):
            difference = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
        difference = np.nan_to_num(difference, nan=np.inf, posinf=np.inf)
        self.mismatches += int(np.count_nonzero(difference > self.tolerance))
        self.largest = max(self.largest, float(difference.max(initial=0.0)))


class ComparisonTable(Sequence[Comparison]):
    """All comparisons, a row each; `print` and rich show it as a table with implementations that agree in one row."""

    def __init__(self, rows: Sequence[Comparison]) -> None:
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, index: int) -> Comparison: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Comparison]: ...
    def __getitem__(self, index: int | slice) -> Comparison | Sequence[Comparison]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def _merged(self) -> Iterator[tuple[Comparison, list[str]]]:
        """Neighbouring rows of a tensor that say the same, with the names of those they speak of."""

        def key(row: Comparison) -> tuple[Any, ...]:
            return row.tensor, row.values, row.mismatches, row.largest, row.tolerance

        place = {name: n for n, name in enumerate(dict.fromkeys(row.tensor for row in self._rows))}
        for _, rows in groupby(sorted(self._rows, key=lambda row: (place[row.tensor], *key(row)[1:])), key):
            group = list(rows)
            yield group[0], [row.other for row in group]

    def __rich__(self) -> Table:
        table = Table("tensor", "compared", header_style="bold")
        for title in ("values", "mismatches", "largest difference", "allowed"):
            table.add_column(title, justify="right")
        for row, others in self._merged():
            pair = f"{row.reference} = {', '.join(others)}" if row.ok else f"{row.reference} ≠ {', '.join(others)}"
            largest, allowed = f"{row.largest:.3g}", f"{row.tolerance:.3g}"
            style = "" if row.ok else "bold red"
            table.add_row(row.tensor, pair, f"{row.values:,}", f"{row.mismatches:,}", largest, allowed, style=style)
        return table

    def __str__(self) -> str:
        console = Console(width=160, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip()


@dataclass
class Report:
    """What `verify` found.

    Attributes:
        table: per tensor and implementation: values, mismatches, largest difference.
        events: events that were run.
        input_values: values in the inputs.
        input_values_changed: how many of them were not on the input grid and were rounded to it first.
        notes: what was not compared, and why; where tolerances come from.
    """

    table: ComparisonTable
    events: int
    input_values: int
    input_values_changed: int
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every comparison agrees: fixed-point tensors value for value, float heads within their tolerance."""
        return bool(self.table) and all(row.ok for row in self.table)

    @property
    def summary(self) -> str:
        """One sentence."""
        wrong = [row for row in self.table if not row.ok]
        compared = f"{len({row.tensor for row in self.table})} tensors, {sum(r.values for r in self.table):,} values"
        if not self.table:
            return "Nothing was compared"
        if not wrong:
            return f"No mismatch: {compared} of {self.events:,} events"
        tensors = ", ".join(dict.fromkeys(row.tensor for row in wrong))
        return f"MISMATCH: {sum(r.mismatches for r in wrong):,} values in {tensors} ({compared})"

    @property
    def remarks(self) -> list[str]:
        """What belongs under the table: inputs changed, what was left out, tolerances, and the summary."""
        changed = f"Inputs: {self.input_values_changed:,} of {self.input_values:,} values were not on the input grid"
        return [changed + (" and were rounded to it" if self.input_values_changed else ""), *self.notes, self.summary]

    def __str__(self) -> str:
        return "\n".join([str(self.table), *self.remarks])
