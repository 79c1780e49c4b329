"""Reports of the tools, real ones where they are at hand: figures by hls4ml's keys, per layer and in total."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from sparse_qonnx.errors import ToolError
from sparse_qonnx.hls.report import parse_cosim, parse_csynth, parse_vivado, read_reports

COSIM = """
Report time       : Mon Jan  1 00:00:00 2024.
Solution          : solution1.
+----------+----------+-----------------------------------------------+
|          |          |   Latency(Clock Cycles)  |  Interval(Clock Cycles) |
|   RTL    |  Status  |  min  |  avg  |  max  |  min  |  avg  |  max  |
+----------+----------+-----------------------------------------------+
|      VHDL|        NA|     NA|     NA|     NA|     NA|     NA|     NA|
|   Verilog|      Pass|    137|    137|    139|     83|     84|     84|
+----------+----------+-----------------------------------------------+
"""


@pytest.fixture
def real(shared: Path) -> Path:
    folder = shared / "hls_reports" / "xml"
    if not folder.is_dir():
        pytest.skip("no ../shared/hls_reports/xml")
    return folder


@pytest.fixture
def project(real: Path, tmp_path: Path) -> Path:
    """A project folder whose reports are those of a published design."""
    reports = tmp_path / "net_prj" / "solution1" / "syn" / "report"
    reports.mkdir(parents=True)
    jet = real / "jet_model-8b_hls_sparse_t"
    shutil.copy(jet / "myhls_csynth.xml", reports / "net_csynth.xml")
    for name in ("sparse_conv_pairs_a_t_conv1_config_s", "sparse_conv_pairs_a_t_conv1_config_Pipeline_1", "entry_proc"):
        shutil.copy(next(jet.glob("sparse_conv*_csynth.xml")), reports / f"{name}_csynth.xml")
    shutil.copy(jet / "vivado_synth.rpt", tmp_path)
    cosim = tmp_path / "net_prj" / "solution1" / "sim" / "report"
    cosim.mkdir(parents=True)
    (cosim / "net_cosim.rpt").write_text(COSIM)
    return tmp_path


def test_all_reports_of_a_project(project: Path) -> None:
    report = read_reports(project, "net", {"conv1_config": "conv1", "conv_config": "conv", "v1_config": "other"})
    assert set(report) == {"Modules", "Layers", "CSynthesisReport", "VivadoSynthReport", "CosimReport"}
    assert len(report["Modules"]) == 3 and list(report["Layers"]) == ["conv1"]
    assert report["CosimReport"] == {
        "RTL": "Verilog", "Status": "Pass", "LatencyMin": 137, "LatencyAvg": 137, "LatencyMax": 139,
        "IntervalMin": 83, "IntervalAvg": 84, "IntervalMax": 84,
    }  # fmt: skip
    rows = report.rows
    assert [row["layer"] for row in rows] == ["conv1", "csynth", "Vivado"]
    assert rows[1] == {
        "layer": "csynth", "WorstLatency": 75, "IntervalMax": 35, "LUT": 540030, "FF": rows[1]["FF"], "DSP": 5,
        "BRAM_18K": rows[1]["BRAM_18K"], "URAM": 0,
    }  # fmt: skip
    assert rows[2]["LUT"] == 201151 and rows[2]["WorstLatency"] is None
    console = Console(width=120, record=True)
    console.print(report)
    text = console.export_text()
    assert "540,030" in text and "conv1" in text


def test_every_real_report_is_read(real: Path) -> None:
    tops = sorted(real.glob("*/myhls_csynth.xml"))
    assert len(tops) == 3
    for top in tops:
        figures = parse_csynth(top)
        for key in ("TargetClockPeriod", "EstimatedClockPeriod", "BestLatency", "WorstLatency", "IntervalMax"):
            assert isinstance(figures[key], int | float), key
        for key in ("LUT", "FF", "DSP", "BRAM_18K", "AvailableLUT", "AvailableFF"):
            assert isinstance(figures[key], int), key
        assert {"LUT", "FF", "DSP", "BRAM_18K"} <= set(parse_vivado(top.parent / "vivado_synth.rpt"))
    for part in real.glob("*/sparse_conv*_csynth.xml"):
        assert parse_csynth(part)["LUT"] > 0


def test_reports_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"no synthesis report yet.*build"):
        read_reports(tmp_path, "net")
    with pytest.raises(ToolError, match="cannot be read"):
        parse_cosim(tmp_path / "nothing")
    (tmp_path / "empty").write_text(COSIM.replace("Verilog", "Other"))
    with pytest.raises(ToolError, match="no simulated row"):
        parse_cosim(tmp_path / "empty")
