"""backend="Verilog": the verbs of a project on the hardware itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sparse_qonnx.errors import ConfigurationError, InputDataError, ToolError
from sparse_qonnx.hls import to_hls
from sparse_qonnx.rtl import simulate
from sparse_qonnx.rtl.device import Clock, family_of
from sparse_qonnx.rtl.project import CONTROL, VerilogProject
from sparse_qonnx.rtl.simulate import CXXRTL, VERILATOR
from sparse_qonnx.rtl.synthesis import RESULT
from sparse_qonnx.verify import verify

pytestmark = pytest.mark.csim
needs_verilator = pytest.mark.skipif(shutil.which("verilator") is None, reason="Verilator is not installed")
needs_yosys = pytest.mark.skipif(shutil.which("yosys") is None, reason="yosys is not installed")
needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus is not installed")


@pytest.fixture(scope="module")
def project(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> VerilogProject:
    made = to_hls(small_model, tmp_path_factory.mktemp("rtl") / "firmware", backend="Verilog")
    assert isinstance(made, VerilogProject)
    return made


@needs_verilator
def test_every_tensor_of_the_hardware_is_exact(
    project: VerilogProject, small_model: Path, small_events: np.ndarray
) -> None:
    report = verify(small_model, small_events, project=project)
    assert report.ok, report.table
    assert report.compared["RTL"] > 5
    assert set(project.trace(small_events)) == set(project.tensors)
    with pytest.raises(InputDataError, match="not in the firmware"):
        project.predict(small_events, tensor="nothing")


@needs_verilator
def test_pauses_and_resets_change_nothing_and_cycles_are_measured(
    project: VerilogProject, small_events: np.ndarray
) -> None:
    plan, rng = project.design.plan, np.random.default_rng(0)
    n = len(small_events)
    expected, timing = project.simulate(small_events, list(project.tensors))
    assert (timing.latency, timing.interval) == (plan.latency, plan.interval)
    assert (project.timing.latency, project.timing.interval) == (plan.latency, plan.interval)
    gaps = rng.integers(0, 2 * plan.interval, n)
    restarts = np.where(rng.random(n) < 0.4, rng.integers(0, plan.latency, n), -1)
    for found, _ in (
        project.simulate(small_events, list(project.tensors), gaps),
        project.simulate(small_events, list(project.tensors), gaps, restarts),
    ):
        for name, values in expected.items():
            assert np.array_equal(found[name], values), name


@needs_yosys
def test_cxxrtl_gives_the_same(project: VerilogProject, small_events: np.ndarray) -> None:
    if simulate._cxxrtl_pair() is None:
        pytest.skip("no yosys with the C++ run time of CXXRTL is installed")
    compiled = project.compile(VERILATOR if shutil.which("verilator") else None)
    expected = project.trace(small_events[:5])
    assert project.compile(CXXRTL) != compiled
    for name, values in project.trace(small_events[:5]).items():
        assert np.array_equal(values, expected[name]), name


@needs_icarus
def test_the_test_bench_passes_in_four_states_and_can_fail(project: VerilogProject, tmp_path: Path) -> None:
    bench, rtl = f"{project.graph.top}_tb", [str(path) for path in (project.folder / "rtl").glob("*.v")]
    program = tmp_path / "tb.vvp"
    subprocess.run(["iverilog", "-g2005", "-o", program, f"{bench}.v", *rtl], cwd=project.folder, check=True)
    said = subprocess.run(["vvp", "-n", program], cwd=project.folder, capture_output=True, text=True, check=True).stdout
    plan = project.design.plan
    assert said.strip() == f"PASS: 10 events, latency {plan.latency}, interval {plan.interval} cycles"
    shutil.copytree(project.folder / "tb_data", tmp_path / "tb_data")
    answers = tmp_path / "tb_data" / f"{project.graph.outputs[0].identifier}.hex"
    lines = answers.read_text().splitlines()
    answers.write_text("\n".join([lines[0][:-1] + f"{int(lines[0][-1], 16) ^ 1:x}", *lines[1:]]) + "\n")
    said = subprocess.run(["vvp", "-n", program], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "FAIL" in said
    assert "event 0" in said


@pytest.mark.parametrize("tool", ["verilator", "yosys", "iverilog"])
def test_no_tool_finds_fault(project: VerilogProject, tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    sources = [str(path) for path in sorted((project.folder / "rtl").glob("*.v"))]
    top = project.graph.top
    command = {
        "verilator": ["verilator", "--lint-only", "-Wall", "--top-module", top, *sources],
        "yosys": [
            "yosys",
            "-q",
            "-p",
            f"read_verilog {' '.join(sources)}; hierarchy -check -top {top}; proc; check -assert",
        ],
        "iverilog": ["iverilog", "-g2005", "-Wall", "-t", "null", *sources],
    }[tool]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_yosys
def test_an_interrupted_synthesis_leaves_nothing_and_a_second_one_is_whole(small_model: Path, tmp_path: Path) -> None:
    project = to_hls(small_model, tmp_path / "firmware", backend="Verilog", config={"head": "skip"})
    before = sorted(project.folder.rglob("*"))

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        project.build(log=interrupt)
    with pytest.raises(ToolError, match="took longer"):
        project.build(timeout=0.0)
    assert sorted(path for path in project.folder.rglob("*") if path.name != "build") == before
    with pytest.raises(ToolError, match="no synthesis report yet"):
        project.report()
    lines: list[str] = []
    rows = project.build(log=lines.append).rows
    assert [row["layer"] for row in rows][-2:] == [CONTROL, "total"]
    assert {row["layer"] for row in rows} >= {"reduce", "conv", "pool", "dense"}
    for key in ("LUT", "FF", "DSP", "BRAM"):
        assert rows[-1][key] == sum(row[key] for row in rows[:-1])
    assert rows[-1]["LUT"] > 100
    assert rows[-1]["FF"] > 100
    assert any("conv: " in line for line in lines)
    assert (project.folder / RESULT).is_file()


def test_what_there_is_no_hardware_for_is_refused(
    project: VerilogProject, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="unknown step"):
        project.build(steps=["cosim"])
    with pytest.raises(ConfigurationError, match="family"):
        to_hls(small_model, tmp_path / "a", backend="Verilog", part="xcx1-none-1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(simulate, "_cxxrtl_pair", lambda: None)
    with pytest.raises(ToolError, match=r"sparse-qonnx\[rtl\]"):
        project.compile()


def test_levels_follow_from_the_clock_and_the_family() -> None:
    ultrascale = family_of("xcu250-figd2104-2L-e")
    assert ultrascale.yosys == "xcup"
    assert Clock(5.0, 1.35, ultrascale).levels == 8
    assert Clock(2.5, 0.675, ultrascale).levels < 8
    assert family_of("xc7z020clg400-1").yosys == "xc7"
    assert family_of("xcku060-ffva1156-2-e").yosys == "xcu"
    assert family_of("xcvu9p-flga2104-2L-e").yosys == "xcup"
    with pytest.raises(ConfigurationError):
        family_of("xcx1-none-1")
