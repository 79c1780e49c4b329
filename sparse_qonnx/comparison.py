"""Counting where two implementations differ, and the table that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from sparse_qonnx import html
from sparse_qonnx.offgrid import OffGrid
from sparse_qonnx.records import from_record
from sparse_qonnx.text import marked_up

Array = NDArray[Any]

_SHORT = {"native kernels": "native", "C-simulation": "C-sim"}
"""Column titles for which a terminal's 80 columns are too few."""


@dataclass
class Comparison:
    """One tensor as two implementations computed it.

    Attributes:
        tensor: name of the tensor in the ONNX file.
        reference: the implementation that is compared with, onnxruntime on the function bodies.
        other: the implementation that is compared.
        tolerance: largest difference that counts as equal: 0 for every tensor on a fixed-point grid.
        reason: why there is a tolerance.
        counterpart: its name in the other implementation, "" where that is the same.
        values: how many values were compared.
        mismatches: how many of them differ by more than the tolerance.
        largest: largest absolute difference.
        ties: how many values differ, but by a tie that the other one decides by luck, proven by the exact number.
    """

    tensor: str
    reference: str
    other: str
    tolerance: float = 0.0
    reason: str = ""
    values: int = 0
    mismatches: int = 0
    largest: float = 0.0
    counterpart: str = ""
    ties: int = 0

    @property
    def label(self) -> str:
        """What the tables call it."""
        return f"{self.tensor} ({self.other}: {self.counterpart})" if self.counterpart else self.tensor

    @property
    def ok(self) -> bool:
        """Whether all values agree."""
        return self.mismatches == 0

    def add(self, reference: Array, other: Array, on_ties: Array | None = None) -> None:
        """Count another batch, values of any (equal) shape; NaN equals NaN.

        In the events `on_ties` `[B]` differences come from a tie, and count as such.

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
        wrong = difference > self.tolerance
        if on_ties is not None:
            self.ties += int(np.count_nonzero(wrong[on_ties]))
            wrong[on_ties], difference[on_ties] = False, 0.0
        self.mismatches += int(np.count_nonzero(wrong))
        self.largest = max(self.largest, float(difference.max(initial=0.0)))

    def __add__(self, other: Comparison) -> Comparison:
        """Both together: the same tensor and implementations on other events."""
        return replace(
            self,
            values=self.values + other.values,
            mismatches=self.mismatches + other.mismatches,
            ties=self.ties + other.ties,
            largest=max(self.largest, other.largest),
        )


class ComparisonTable(Sequence[Comparison]):
    """All comparisons, one each; `print` and rich show them as a table with a row per tensor."""

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

    def __eq__(self, other: object) -> bool:
        return self._rows == other._rows if isinstance(other, ComparisonTable) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # comparisons go on counting

    def __rich__(self) -> Table:
        title, others, rows, bad = self._content()
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        table.add_column("tensor", overflow="fold")
        for title in ("values", *(_SHORT.get(other, other) for other in others), "largest\ndiff.", "limit"):
            table.add_column(title, justify="right")
        for n, (tensor, *numbers) in enumerate(rows):
            table.add_row(marked_up(tensor), *numbers, style="bold red" if n in bad else "")
        return table

    def to_html_table(self, notes: Sequence[str] = ()) -> html.Table:
        """The same table for HTML, notes below it."""
        title, others, rows, bad = self._content()
        return html.Table(title, ("tensor", "values", *others, "largest difference", "limit"), rows, notes, bad)

    def _content(self) -> tuple[str, list[str], list[tuple[str, ...]], list[int]]:
        """What every table of it shows: title, implementations, texts of the rows, numbers of those that differ."""
        others = list(dict.fromkeys(row.other for row in self._rows))
        reference = self._rows[0].reference if self._rows else "nothing"
        rows: list[tuple[str, ...]] = []
        bad = []
        for (label, tolerance), found in self._by_label().items():
            if not all(row.ok for row in found):
                bad.append(len(rows))
            cells = {row.other: f"{row.mismatches:,}" + (f" (tie: {row.ties:,})" if row.ties else "") for row in found}
            values, largest = max(row.values for row in found), max(row.largest for row in found)
            numbers = (*(cells.get(other, "-") for other in others), f"{largest:.3g}", f"{tolerance:.3g}")
            rows.append((label, f"{values:,}", *numbers))
        return f"Mismatches with {reference}, by implementation", others, rows, bad

    def _repr_html_(self) -> str | None:
        return html.for_notebook(self.to_html_table())

    def _by_label(self) -> dict[tuple[str, float], list[Comparison]]:
        """The comparisons of a row: one tensor, and one tolerance (a float head has two)."""
        found: dict[tuple[str, float], list[Comparison]] = {}
        for row in self._rows:
            found.setdefault((row.label, row.tolerance), []).append(row)
        return found

    def __str__(self) -> str:
        console = Console(width=120, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip()


@dataclass
class Report:
    """What `verify` found.

    Attributes:
        table: per tensor and implementation: values, mismatches, largest difference.
        events: events that were run.
        inputs: values in the inputs, and how many of them were not on the input grid and were put on it first.
        notes: what was not compared, and why; where tolerances come from; weights that differ.
        implementations: everything that was to be compared.
        problems: differences that are not of values: outputs that only one side has, or that differ in shape.
    """

    table: ComparisonTable
    events: int
    inputs: OffGrid
    notes: list[str] = field(default_factory=list)
    implementations: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every output of every implementation was compared, and all that is exact agrees.

        Fixed-point tensors agree value for value, float heads within their tolerance. An implementation with which
        nothing could be compared is a failure.
        """
        return bool(self.table) and not self.problems and all(self.compared.values()) and all(r.ok for r in self.table)

    @property
    def compared(self) -> dict[str, int]:
        """How many tensors of each implementation were compared."""
        found = dict.fromkeys([*self.implementations, *(row.other for row in self.table)], 0)
        for row in self.table:
            found[row.other] += 1
        return found

    @property
    def input_values(self) -> int:
        """Values in the inputs."""
        return self.inputs.values

    @property
    def input_values_changed(self) -> int:
        """How many of them were not on the input grid: rounded to it, saturated, or no numbers."""
        return self.inputs.changed

    def __add__(self, other: Report) -> Report:
        """Both together: the same comparisons on other events.

        Raises:
            ValueError: they are others.
        """
        if [(a.label, a.other) for a in self.table] != [(b.label, b.other) for b in other.table]:
            raise ValueError("reports of other tensors or implementations")
        rows = [a + b for a, b in zip(self.table, other.table, strict=True)]
        return Report(
            ComparisonTable(rows),
            self.events + other.events,
            self.inputs + other.inputs,
            *(
                list(dict.fromkeys([*a, *b]))
                for a, b in (
                    (self.notes, other.notes),
                    (self.implementations, other.implementations),
                    (self.problems, other.problems),
                )
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON, in which an infinite difference is the string `inf`."""
        rows = [asdict(row) | {"largest": row.largest if np.isfinite(row.largest) else "inf"} for row in self.table]
        return {
            "ok": self.ok,
            "events": self.events,
            "inputs": asdict(self.inputs),
            "compared": self.compared,
            "problems": self.problems,
            "table": rows,
            "notes": self.notes,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """What `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it is something else.
        """
        rows = [from_record(Comparison, {**row, "largest": float(row["largest"])}) for row in data["table"]]
        lists = {"notes": data["notes"], "implementations": data["compared"], "problems": data["problems"]}
        texts = {key: list(map(str, value)) for key, value in lists.items()}
        if not isinstance(data["events"], int):
            raise TypeError(f"events is {data['events']!r}")
        return cls(ComparisonTable(rows), data["events"], from_record(OffGrid, data["inputs"]), **texts)

    @property
    def summary(self) -> str:
        """One sentence."""
        if not self.table:
            return "NOTHING WAS COMPARED"
        wrong = [row for row in self.table if not row.ok]
        shares = ", ".join(f"{name} {count}" for name, count in self.compared.items())
        compared = f"{len({row.tensor for row in self.table})} tensors, {sum(r.values for r in self.table):,} values"
        compared += f" of {self.events:,} events; tensors by implementation: {shares}"
        without = [name for name, count in self.compared.items() if not count]
        if without:
            return f"NOTHING WAS COMPARED with {', '.join(without)} ({compared})"
        if wrong:
            tensors = ", ".join(dict.fromkeys(row.label for row in wrong))
            return f"MISMATCH: {sum(r.mismatches for r in wrong):,} values in {tensors} ({compared})"
        if self.problems:
            return f"DIFFERENT OUTPUTS ({compared})"
        ties = sum(row.ties for row in self.table)
        return f"No mismatch: {compared}" + (f"; {ties:,} values differ by ties" if ties else "")

    @property
    def remarks(self) -> list[str]:
        """What belongs under the table: inputs changed, what was left out, tolerances, differences, and the summary."""
        changed = self.inputs.describe((", rounded", ", saturated", ", 0 instead"))
        return [changed, *self.notes, *self.problems, self.summary]

    def __str__(self) -> str:
        return "\n".join([str(self.table), *self.remarks])

    def _repr_html_(self) -> str | None:
        return html.for_notebook(self.table.to_html_table(self.remarks))
