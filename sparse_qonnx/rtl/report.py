"""What synthesis and simulation said of a Verilog project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from sparse_qonnx.hls.report import SynthesisReport
from sparse_qonnx.text import marked_up

_SUMS = ("LUT", "FF", "DSP", "BRAM")
_COLUMNS = (*((key, key) for key in _SUMS), ("levels", "levels"), ("stated_levels", "by the model"), ("clock", "ns"))
TOTAL = "total"


class RtlReport(SynthesisReport):
    """Figures of yosys: a dict with `Layers` by name and `Total`, rows for pandas, a table for a terminal.

    LUT, FF, DSP, BRAM (of 18 kbit) are cells; `levels` are those of the longest path, beside those of the model;
    `clock` is the period in ns that they ask for.
    """

    @classmethod
    def of(cls, rows: list[Mapping[str, Any]], settings: Mapping[str, Any]) -> RtlReport:
        """From a row a part."""
        total: dict[str, Any] = {key: sum(row[key] for row in rows) for key in _SUMS}
        for key in ("levels", "stated_levels", "clock"):
            total[key] = max((row[key] for row in rows), default=0)
        layers = {row["layer"]: {key: row[key] for key, _ in _COLUMNS} for row in rows}
        return cls(Layers=layers, Total=total, **settings)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row a layer, the last one `total`: ready for `pandas.DataFrame`."""
        return [{"layer": name, **figures} for name, figures in (*self["Layers"].items(), (TOTAL, self["Total"]))]

    @property
    def table(self) -> Table:
        """For a terminal."""
        table = Table(title="Synthesis by yosys, tables of six inputs")
        table.add_column("layer", no_wrap=True)
        for _, title in _COLUMNS:
            table.add_column(title, justify="right")
        for row in self.rows:
            if row["layer"] == TOTAL:
                table.add_section()
            shown = (f"{row[key]:,}" if isinstance(row[key], int) else f"{row[key]:g}" for key, _ in _COLUMNS)
            table.add_row(marked_up(row["layer"]), *shown)
        return table
