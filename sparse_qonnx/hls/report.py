"""Reading the reports of the synthesis tools."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from rich.table import Table

from sparse_qonnx.errors import ToolError
from sparse_qonnx.system.regular import read_regular, reason
from sparse_qonnx.text import marked_up, shortened, shown

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


_REPORT_BYTES = 1 << 26
"""More than any report has."""
_MOST_ELEMENTS_DEEP = 100
_LONGEST_TEXT = 40


def _number(text: str) -> int | float | str:
    """A number in ASCII, or the text where there is another, such as "undef"."""
    text = text.strip()[:_LONGEST_TEXT]
    if re.fullmatch(r"[0-9]{1,15}", text):
        return int(text)
    return float(text) if re.fullmatch(r"[0-9]{1,15}\.[0-9]{1,15}", text) else text


def _damaged(path: Path, problem: str) -> ToolError:
    return ToolError(f"report {str(path)!r}", f"cannot be read: {problem}", fix="run build() again")


def _read(path: Path) -> bytes:
    try:
        data = read_regular(path, _REPORT_BYTES)
    except (OSError, ValueError) as error:
        raise _damaged(path, reason(error)) from error
    if len(data) > _REPORT_BYTES:
        raise _damaged(path, f"it has more than {_REPORT_BYTES:,} bytes")
    return data


def _parsed(data: bytes, path: Path) -> ElementTree.Element:
    """An XML document that declares nothing: an entity can stand for gigabytes, or for another file."""
    depth = 0

    def refuse(*_: object) -> None:
        raise ValueError("it declares a document type")

    def start(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_ELEMENTS_DEEP:
            raise ValueError(f"its elements are more than {_MOST_ELEMENTS_DEEP} deep")

    def end(*_: object) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler, parser.StartElementHandler, parser.EndElementHandler = refuse, start, end
    try:
        parser.Parse(data, True)
        return ElementTree.fromstring(data)
    except (expat.ExpatError, ElementTree.ParseError, ValueError, LookupError) as error:  # an unknown encoding
        raise _damaged(path, shortened(str(error), 300)) from error


def parse_csynth(path: Path) -> dict[str, Any]:
    """Figures of a `csynth.xml`: cycles, ns and resources, by hls4ml's key names.

    Raises:
        ToolError: the file is missing or no such report.
    """
    root = _parsed(_read(path), path)
    figures: dict[str, Any] = {}
    for key, place in _PERFORMANCE.items():
        text = root.findtext(place)
        if text is not None:
            figures[key] = _number(text)
    for element, prefix in (("Resources", ""), ("AvailableResources", "Available")):
        for item in root.findall(f"AreaEstimates/{element}/*"):
            if item.tag in _RESOURCES:
                number = _number(item.text or "0")
                if isinstance(number, str):
                    raise _damaged(path, f"{item.tag} is {shown(number)}, no number")
                figures[prefix + _RESOURCES[item.tag]] = number
    if not figures:
        raise ToolError(f"report {str(path)!r}", "holds no figures", allowed="a csynth.xml of Vitis or Vivado HLS")
    return figures


def parse_vivado(path: Path) -> dict[str, Any]:
    """Resources of the whole design from Vivado's `report_utilization`, flat or hierarchical.

    A hierarchical report also gives `Modules`: the same figures by instance.

    Raises:
        ToolError: the file is missing or no such report.
    """
    text = _read(path).decode(errors="replace")
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
        if len(row) > 1 and re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,6})?", row[1]):
            if title in (*_VIVADO_ROWS, "URAM"):
                figures.setdefault(_VIVADO_ROWS.get(title, title), _number(row[1]))
            elif title == "Block RAM Tile":
                figures.setdefault("BRAM_18K", int(2 * float(row[1])))  # halves are 18K
    return figures


def _hierarchical(rows: list[list[str]], header: list[str]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    modules: dict[str, dict[str, Any]] = {}
    for row in rows:
        cells = dict(zip(header, row, strict=False))
        counts = {title: int(cell) for title, cell in cells.items() if re.fullmatch(r"[0-9]{1,15}", cell)}
        if len(row) != len(header) or not {"Total LUTs", "RAMB36", "RAMB18"} <= counts.keys():
            continue
        resources = {key: counts[title] for title, key in _VIVADO_COLUMNS.items() if title in counts}
        resources["BRAM_18K"] = 2 * counts["RAMB36"] + counts["RAMB18"]
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
    text = _read(path).decode(errors="replace")
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0] in ("VHDL", "Verilog") and len(cells) >= len(_COSIM) and cells[1] != "NA":
            return {key: _number(cell) for key, cell in zip(_COSIM, cells, strict=False)}
    raise ToolError(f"report {str(path)!r}", "holds no simulated row", allowed="a report of cosim_design")


class OldReportWarning(UserWarning):
    """A synthesis report is older than the firmware it should be of."""


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
    paths = sorted((solution / "syn" / "report").glob("*_csynth.xml"))
    _warn_if_older(paths, folder / "firmware" / f"{top}.cpp")
    for path in paths:
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


def _warn_if_older(reports: Iterable[Path], source: Path) -> None:
    """Replacing a project leaves what a tool made of the old one."""
    try:
        written = source.stat().st_mtime
        old = [path for path in reports if path.stat().st_mtime < written]
    except OSError:
        return
    if old:
        problem = f"{str(old[0].parent)!r} holds reports that are older than the firmware: perhaps of another project"
        warnings.warn(f"{problem}; run build() again", OldReportWarning, stacklevel=4)


def _layer_of(module: str, layers: Mapping[str, str]) -> str | None:
    matches = [name for name in layers if re.search(rf"(^|_){re.escape(name)}(_|$)", module)]
    return layers[max(matches, key=len)] if matches else None


def _keep_larger(layers: dict[str, Any], layer: str, figures: dict[str, Any]) -> None:
    """A layer's loops are modules of their own inside the module of the layer: that one has the most of everything."""
    if layer not in layers or layers[layer].get("LUT", 0) < figures.get("LUT", 0):
        layers[layer] = figures
