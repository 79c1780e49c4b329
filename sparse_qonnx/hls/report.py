"""Reading the reports of the synthesis tools."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rich.table import Table

from sparse_qonnx.errors import ToolError
from sparse_qonnx.text import marked_up

_RESOURCES = {"BRAM_18K": "BRAM_18K", "DSP": "DSP", "DSP48E": "DSP", "FF": "FF", "LUT": "LUT", "URAM": "URAM"}
_PERFORMANCE = {
    "TargetClockPeriod": "UserAssignments/TargetClockPeriod",
    "EstimatedClockPeriod": "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod",
    "BestLatency": "PerformanceEstimates/SummaryOfOverallLatency/Best-caseLatency",
    "WorstLatency": "PerformanceEstimates/SummaryOfOverallLatency/Worst-caseLatency",
    "IntervalMin": "PerformanceEstimates/SummaryOfOverallLatency/Interval-min",
    "IntervalMax": "PerformanceEstimates/SummaryOfOverallLatency/Interval-max",
}
_COSIM = ("RTL", "Status", "LatencyMin", "LatencyAvg", "LatencyMax", "IntervalMin", "IntervalAvg", "IntervalMax")
_TABLE = (
    ("WorstLatency", "latency"),
    ("IntervalMax", "interval"),
    ("LUT", "LUT"),
    ("FF", "FF"),
    ("DSP", "DSP"),
    ("BRAM_18K", "BRAM 18K"),
    ("URAM", "URAM"),
)
# Titles of Vivado's utilization reports: rows of the flat one, columns of the hierarchical one.
_VIVADO_ROWS = {"CLB LUTs": "LUT", "Slice LUTs": "LUT", "CLB Registers": "FF", "Slice Registers": "FF", "DSPs": "DSP"}
_VIVADO_COLUMNS = {"Total LUTs": "LUT", "FFs": "FF", "URAM": "URAM", "DSP Blocks": "DSP", "DSP48 Blocks": "DSP"}


def _number(text: str) -> int | float | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return int(value) if value.is_integer() and "." not in text else value


def parse_csynth(path: Path) -> dict[str, Any]:
    """Figures of a `csynth.xml`: cycles, ns and resources, by hls4ml's key names.

    Raises:
        ToolError: the file is missing or no such report.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise ToolError(f"report {str(path)!r}", f"cannot be read: {error}", fix="run build() again") from error
    figures: dict[str, Any] = {}
    for key, place in _PERFORMANCE.items():
        text = root.findtext(place)
        if text is not None:
            figures[key] = _number(text)
    for element, prefix in (("Resources", ""), ("AvailableResources", "Available")):
        for item in root.findall(f"AreaEstimates/{element}/*"):
            if item.tag in _RESOURCES:
                figures[prefix + _RESOURCES[item.tag]] = _number(item.text or "0")
    if not figures:
        raise ToolError(f"report {str(path)!r}", "holds no figures", allowed="a csynth.xml of Vitis or Vivado HLS")
    return figures


def parse_vivado(path: Path) -> dict[str, Any]:
    """Resources of the whole design from Vivado's `report_utilization`, flat or hierarchical.

    A hierarchical report also gives `Modules`: the same figures by instance.

    Raises:
        ToolError: the file is missing or no such report.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ToolError(f"report {str(path)!r}", f"cannot be read: {error}", fix="run build() again") from error
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines() if "|" in line]
    header = next((row for row in rows if row[:2] == ["Instance", "Module"]), None)
    figures = _flat(rows) if header is None else _hierarchical(rows, header)
    if not figures:
        allowed = "a report of Vivado's synth_design"
        raise ToolError(f"report {str(path)!r}", "holds no utilization table", allowed=allowed)
    return figures


def _flat(rows: list[list[str]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for row in rows:
        title = row[0].rstrip("*")
        if len(row) > 1 and re.fullmatch(r"[0-9.]+", row[1]):
            if title in (*_VIVADO_ROWS, "URAM"):
                figures.setdefault(_VIVADO_ROWS.get(title, title), _number(row[1]))
            elif title == "Block RAM Tile":
                figures.setdefault("BRAM_18K", int(2 * float(row[1])))
    return figures


def _hierarchical(rows: list[list[str]], header: list[str]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    modules: dict[str, dict[str, Any]] = {}
    for row in rows:
        cells = dict(zip(header, row, strict=False))
        if len(row) != len(header) or not cells["Total LUTs"].isdigit():
            continue
        resources = {key: int(cells[title]) for title, key in _VIVADO_COLUMNS.items() if title in cells}
        resources["BRAM_18K"] = 2 * int(cells["RAMB36"]) + int(cells["RAMB18"])
        if not figures:
            figures = resources  # the top comes first
        else:
            modules[cells["Instance"]] = resources
    return {**figures, "Modules": modules} if figures else {}


def parse_cosim(path: Path) -> dict[str, Any]:
    """Cycles measured by C/RTL co-simulation, from the one row of its report that was simulated.

    Raises:
        ToolError: the file is missing, or nothing was simulated.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ToolError(f"report {str(path)!r}", f"cannot be read: {error}", fix="run build() again") from error
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0] in ("VHDL", "Verilog") and len(cells) >= len(_COSIM) and cells[1] != "NA":
            return {key: _number(cell) for key, cell in zip(_COSIM, cells, strict=False)}
    raise ToolError(f"report {str(path)!r}", "holds no simulated row", allowed="a report of cosim_design")


class SynthesisReport(dict[str, Any]):
    """All reports of a project: a dict with hls4ml's keys, rows for pandas, a table for a terminal.

    `CSynthesisReport`, `VivadoSynthReport` and `CosimReport` are of the whole design, `Modules` holds the csynth report
    of every part by its name, `Layers` the same by the name of the layer.
    """

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row a layer, and the whole design as `csynth` and `Vivado`: ready for `pandas.DataFrame`."""
        whole = {"csynth": self.get("CSynthesisReport"), "Vivado": self.get("VivadoSynthReport")}
        parts = [*self.get("Layers", {}).items(), *((k, v) for k, v in whole.items() if v)]
        return [{"layer": name} | {key: figures.get(key) for key, _ in _TABLE} for name, figures in parts]

    @property
    def table(self) -> Table:
        """For a terminal."""
        table = Table(title="Synthesis")
        table.add_column("layer", no_wrap=True)
        for _, title in _TABLE:
            table.add_column(title, justify="right")
        for row in self.rows:
            if row["layer"] in ("csynth", "Vivado"):
                table.add_section()
            table.add_row(marked_up(row["layer"]), *(_shown(row[key]) for key, _ in _TABLE))
        return table

    def __rich__(self) -> Table:
        return self.table


def _shown(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def read_reports(folder: Path, top: str, layers: Mapping[str, str] | None = None) -> SynthesisReport:
    """All reports of a project.

    Args:
        folder: the project.
        top: its top function.
        layers: names of layers by the name of their configuration, which the names of their modules hold.

    Raises:
        ToolError: there is none.
    """
    found = SynthesisReport()
    solution = folder / f"{top}_prj" / "solution1"
    for path in sorted((solution / "syn" / "report").glob("*_csynth.xml")):
        module = path.name.removesuffix("_csynth.xml")
        if module == top:
            found["CSynthesisReport"] = parse_csynth(path)
            continue
        figures = parse_csynth(path)
        found.setdefault("Modules", {})[module] = figures
        layer = _layer_of(module, layers or {})
        if layer is not None:
            _keep_larger(found.setdefault("Layers", {}), layer, figures)
    reports = {"VivadoSynthReport": (folder / "vivado_synth.rpt", parse_vivado)}
    reports["CosimReport"] = (solution / "sim" / "report" / f"{top}_cosim.rpt", parse_cosim)
    for key, (path, parse) in reports.items():
        if path.is_file():
            found[key] = parse(path)
    if not found:
        raise ToolError(f"project {str(folder)!r}", "holds no synthesis report yet", fix="run build() first")
    return found


def _layer_of(module: str, layers: Mapping[str, str]) -> str | None:
    matches = [name for name in layers if re.search(rf"(^|_){re.escape(name)}(_|$)", module)]
    return layers[max(matches, key=len)] if matches else None


def _keep_larger(layers: dict[str, Any], layer: str, figures: dict[str, Any]) -> None:
    """A layer's loops are modules of their own inside the module of the layer: that one has the most of everything."""
    if layer not in layers or layers[layer].get("LUT", 0) < figures.get("LUT", 0):
        layers[layer] = figures
