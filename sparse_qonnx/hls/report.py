"""Reading the reports of the synthesis tools."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from sparse_qonnx.errors import ToolError

_RESOURCES = {"BRAM_18K": "BRAM_18K", "DSP": "DSP", "DSP48E": "DSP", "FF": "FF", "LUT": "LUT", "URAM": "URAM"}
_PERFORMANCE = {
    "TargetClockPeriod": "UserAssignments/TargetClockPeriod",
    "EstimatedClockPeriod": "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod",
    "BestLatency": "PerformanceEstimates/SummaryOfOverallLatency/Best-caseLatency",
    "WorstLatency": "PerformanceEstimates/SummaryOfOverallLatency/Worst-caseLatency",
    "IntervalMin": "PerformanceEstimates/SummaryOfOverallLatency/Interval-min",
    "IntervalMax": "PerformanceEstimates/SummaryOfOverallLatency/Interval-max",
}
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


def read_reports(folder: Path, top: str) -> dict[str, Any]:
    """All reports of a project, those of parts by module name.

    Raises:
        ToolError: there is none.
    """
    found: dict[str, Any] = {}
    reports = folder / f"{top}_prj" / "solution1" / "syn" / "report"
    for path in sorted(reports.glob("*_csynth.xml")):
        module = path.name.removesuffix("_csynth.xml")
        if module == top:
            found["CSynthesisReport"] = parse_csynth(path)
        else:
            found.setdefault("Modules", {})[module] = parse_csynth(path)
    vivado = folder / "vivado_synth.rpt"
    if vivado.is_file():
        found["VivadoSynthReport"] = parse_vivado(vivado)
    if not found:
        raise ToolError(f"project {str(folder)!r}", "holds no synthesis report yet", fix="run build() first")
    return found
