"""The project folder: what is written, what is refused, the test bench, the tools' scripts and reports."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from sparse_qonnx import _paths
from sparse_qonnx.errors import (
    ConfigurationError,
    InputDataError,
    OutputPathError,
    PrecisionError,
    SparseQonnxError,
    ToolError,
    UnsupportedNodeError,
)
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.hls import OffGridWarning, to_hls
from sparse_qonnx.hls.headers import find_ap_headers, find_compiler
from sparse_qonnx.hls.identifiers import Namer, comment, identifier
from sparse_qonnx.hls.report import parse_csynth, parse_vivado
from sparse_qonnx.ops import operators
from sparse_qonnx.passes import finalize

STRICT = ("-std=c++11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-uninitialized")


def compile_strictly(folder: Path, *arguments: str) -> None:
    command = [find_compiler(), *STRICT, "-isystem", str(find_ap_headers()), "-I", "sim", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# ---- what is written -------------------------------------------------------------------------------------------------


def test_test_bench_passes_and_notices_a_wrong_value(small_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "firmware"
    project = to_hls(small_model, folder)
    compile_strictly(folder, "-O0", "-o", "bench", "sparse_cnn_test.cpp", "firmware/sparse_cnn.cpp")
    good = subprocess.run(["./bench"], cwd=folder, capture_output=True, text=True)
    assert good.returncode == 0 and "10 events, 30 values, 0 mismatches" in good.stdout
    answers = folder / "tb_data" / "tb_output_predictions.dat"
    lines = answers.read_text().splitlines()
    answers.write_text("\n".join(["2" + lines[0][1:], *lines[1:]]) + "\n")
    bad = subprocess.run(["./bench"], cwd=folder, capture_output=True, text=True)
    assert bad.returncode == 1 and "1 mismatches" in bad.stdout and "expected 2" in bad.stderr
    answers.write_text("\n".join(lines[:-1]) + "\n")
    assert subprocess.run(["./bench"], cwd=folder, capture_output=True).returncode == 1, "missing answers must not pass"
    assert project.graph.top == "sparse_cnn"


def test_same_model_same_bytes(small_model: Path, tmp_path: Path) -> None:
    to_hls(small_model, tmp_path / "a")
    to_hls(small_model, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_every_operator_has_a_kernel() -> None:
    kernels = {p.stem for p in (_paths.hls_backend() / "kernels").glob("*.h")}
    stems = {op.__module__.rsplit(".", 1)[1] for op in operators().values()}
    assert stems <= kernels


def test_prediction_is_what_the_model_gives(small_model: Path, tmp_path: Path) -> None:
    from sparse_qonnx.reference import run_reference

    x = (np.random.default_rng(0).integers(0, 64, (50, 6, 8, 1)) / 32).astype(np.float32)
    project = to_hls(small_model, tmp_path / "table")
    wanted = run_reference(small_model, {"image": x}, ["softmax", "dense"])
    y = project.predict(x)
    assert y.dtype == np.float32 and np.abs(y - wanted["softmax"]).max() <= project.tolerances["softmax"] < 0.01
    logits = to_hls(small_model, tmp_path / "skip", config={"head": "skip"})
    np.testing.assert_array_equal(logits.predict(x), wanted["dense"])
    assert "softmax" not in logits.tensors and logits.tolerances == {} and "Softmax" in logits.notes[0]
    assert logits.predict(x[:0]).shape == (0, 3)


def test_values_off_the_grid_are_rounded_with_a_warning(small_model: Path, tmp_path: Path) -> None:
    project = to_hls(small_model, tmp_path / "firmware")
    x = np.full((2, 6, 8, 1), 0.5, dtype=np.float32)
    x[0, 0, 0, 0], x[0, 0, 1, 0], x[0, 0, 2, 0] = 0.51, 1e9, np.nan
    with pytest.warns(OffGridWarning, match="3 input values"):
        found = project.predict(x, tensor="image")
    assert found[0, 0, :3, 0].tolist() == [0.5, 63 / 32, 0]


# ---- names -----------------------------------------------------------------------------------------------------------

HOSTILE = [
    'a"; system("x"); //',
    "class",
    "a\nb",
    "1st",
    "größe",
    "a b",
    "a-b",
    "*/ #error",
    "size",
    "??/",
    "\\",
    "A_b",
]


def hostile_model() -> ModelProto:
    g = GraphBuilder('evil"\n#error name')
    image = g.input(HOSTILE[0], [4, 4, 1])
    x, coords = g.sparse("InputReduce", [image], [HOSTILE[1], HOSTILE[2]], n_max_pixels=3, threshold=0.0)
    for name in HOSTILE[3:]:
        (x,) = g.node("Relu", [x], [name])
    (x,) = g.sparse("SparseToDense", [x, coords], ["sparse_cnn"], spatial_shape=[4, 4])
    g.output(x)
    return finalize(g.build(), "ap_ufixed<4,1>")


def test_hostile_names_become_identifiers(tmp_path: Path) -> None:
    project = to_hls(hostile_model(), tmp_path / "firmware")
    compile_strictly(tmp_path / "firmware", "-fsyntax-only", "sparse_cnn_test.cpp", "firmware/sparse_cnn.cpp")
    identifiers = [t.identifier for t in project.graph.arrays]
    assert len({i.lower() for i in identifiers}) == len(identifiers)
    x = np.ones((1, 4, 4, 1), np.float32)
    assert project.predict(x, tensor=HOSTILE[5]).sum() == 3


@pytest.mark.parametrize("name", [*HOSTILE, "", "_", "ümlaut", "9", "x" * 500])
def test_identifier(name: str) -> None:
    text = identifier(name)
    assert text.isidentifier() and text.isascii() and "__" not in text and len(text) <= 64
    assert all(c not in comment(name) for c in "\n\r\\?") and comment(name).isascii()


def test_names_do_not_clash_with_names_made_from_others() -> None:
    namer = Namer(("top",))
    made = [namer(n) for n in ("conv1", "conv1", "conv1_t", "Conv1", "conv1_2", "TOP")]
    assert len({m.lower() for m in made}) == len(made) and "top" not in {m.lower() for m in made}


# ---- what is refused -------------------------------------------------------------------------------------------------


def tanh_model() -> ModelProto:
    g = GraphBuilder("tanh")
    x, _ = g.sparse("InputReduce", [g.input("image", [4, 4, 1])], ["r", "r.coords"], n_max_pixels=3, threshold=0.0)
    (x,) = g.node("Tanh", [x], ["curve"])
    g.output(x)
    return finalize(g.build(), "ap_ufixed<4,1>")


def test_missing_precision_is_refused_and_can_be_given(tmp_path: Path) -> None:
    g = GraphBuilder("plain")
    x, _ = g.sparse("InputReduce", [g.input("image", [4, 4, 1])], ["r", "r.coords"], n_max_pixels=3, threshold=0.0)
    g.output(x)
    model = finalize(g.build())
    with pytest.raises(PrecisionError, match=r"input 'image'.*input_precision"):
        to_hls(model, tmp_path / "firmware")
    assert not (tmp_path / "firmware").exists()
    project = to_hls(model, tmp_path / "firmware", config={"input_precision": "ap_ufixed<4,1>"})
    assert project.tensors["image"].cpp_type == "ap_ufixed<4,1>"


def test_node_without_hardware_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedNodeError, match=r"'curve' \(Tanh\).*has no hardware"):
        to_hls(tanh_model(), tmp_path / "firmware")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backend": "Quartus"}, "Quartus.*Vitis, Vivado"),
        ({"part": "x; exec rm"}, "part"),
        ({"clock_period": 0}, "clock_period"),
        ({"clock_period": "5"}, "clock_period"),
        ({"clock_period": float("nan")}, "clock_period"),
        ({"config": {"heads": "skip"}}, "heads.*head"),
        ({"config": {"head": "none"}}, "none.*table or skip"),
        ({"config": {"top": "a b"}}, "top"),
        ({"config": {"top": "class"}}, "top"),
        ({"config": {"test_events": 0}}, "test_events"),
        ({"config": {"input_precision": 3}}, "input_precision"),
        ({"config": [1]}, "HLS configuration"),
    ],
)
def test_impossible_options(arguments: dict[str, Any], message: str, small_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        to_hls(small_model, tmp_path / "firmware", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_used_folders(small_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "firmware"
    folder.mkdir()
    to_hls(small_model, folder)  # an empty one is fine
    before = contents(folder)
    with pytest.raises(OutputPathError, match=r"already holds a project.*force"):
        to_hls(small_model, folder)
    with pytest.raises(UnsupportedNodeError):
        to_hls(tanh_model(), folder, force=True)
    assert contents(folder) == before, "a failure leaves the old project as it was"
    to_hls(small_model, folder, config={"head": "skip"}, force=True)
    assert contents(folder) != before
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputPathError, match="holds something else"):
        to_hls(small_model, other, force=True)
    with pytest.raises(OutputPathError, match="is a file"):
        to_hls(small_model, other / "thesis.tex", force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["firmware", "other"], "nothing half-written stays"


@pytest.mark.parametrize(
    "x",
    [
        np.zeros((2, 6, 8)),
        np.zeros((6, 8, 1)),
        np.zeros((1, 6, 8, 1), dtype=complex),
        np.array("x"),
        {"y": np.zeros(3)},
    ],
)
def test_input_of_the_wrong_kind(x: Any, small_model: Path, tmp_path: Path) -> None:
    project = to_hls(small_model, tmp_path / "firmware")
    project.compile = lambda: pytest.fail("checked before anything is compiled")  # type: ignore[method-assign, assignment]
    with pytest.raises(InputDataError):
        project.predict(x)


def test_tensors_that_are_not_there(small_model: Path, tmp_path: Path) -> None:
    project = to_hls(small_model, tmp_path / "firmware")
    x = np.zeros((1, 6, 8, 1), np.float32)
    with pytest.raises(InputDataError, match=r"'nothing': is not in the firmware.*conv"):
        project.predict(x, tensor="nothing")
    with pytest.raises(InputDataError, match="was fused into 'dense'"):
        project.predict(x, tensor="dense.matmul")


def test_no_compiler(small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = to_hls(small_model, tmp_path / "firmware")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ToolError, match="no-such-compiler"):
        project.compile()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("SPARSE_QONNX_AP_TYPES", str(tmp_path))
    with pytest.raises(ToolError, match=r"ap_fixed.*sparse-qonnx\[csim\]"):
        project.compile()


def test_library_is_used_again_until_a_source_changes(small_model: Path, tmp_path: Path) -> None:
    project = to_hls(small_model, tmp_path / "firmware")
    first = project.compile()
    made = first.stat().st_mtime_ns
    assert project.compile() == first and first.stat().st_mtime_ns == made
    source = tmp_path / "firmware" / "firmware" / "defines.h"
    source.write_text(source.read_text() + "// changed\n")
    assert project.compile() != first


# ---- tools -----------------------------------------------------------------------------------------------------------


def fake_tool(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!{sys.executable}\nimport os, pathlib, shutil, sys, time\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_build_without_the_tool(small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = to_hls(small_model, tmp_path / "firmware")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"vitis_hls: is not on the PATH.*settings64"):
        project.build()
    with pytest.raises(ConfigurationError, match="unknown step 'synthesis'"):
        project.build(["synthesis"])
    with pytest.raises(ToolError, match="no synthesis report yet"):
        project.report()


def test_build_with_a_tool_that_works_fails_or_hangs(
    small_model: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = to_hls(small_model, tmp_path / "firmware")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    xml = shared / "hls_reports" / "xml" / "jet_model-8b_hls_sparse_t" / "myhls_csynth.xml"
    target = "pathlib.Path('sparse_cnn_prj/solution1/syn/report')"
    works = f"d = {target}; d.mkdir(parents=True); shutil.copy({str(xml)!r}, d / 'sparse_cnn_csynth.xml')"
    fake_tool(tmp_path / "bin", "vitis_hls", f"print('steps', os.environ['HLS_STEPS']); {works}")
    lines: list[str] = []
    report = project.build(["synth", "csim"], log=lines.append)
    assert lines == ["steps csim synth"] and report["CSynthesisReport"]["LUT"] == 540030
    fake_tool(tmp_path / "bin", "vitis_hls", "print('ERROR: no licence'); sys.exit(3)")
    with pytest.raises(ToolError, match="ended with code 3: ERROR: no licence"):
        project.build()
    fake_tool(tmp_path / "bin", "vitis_hls", "os.spawnlp(os.P_WAIT, 'sleep', 'sleep', '60')")  # in a child, as they do
    started = time.monotonic()
    with pytest.raises(ToolError, match=r"took longer than 0\.5 s"):
        project.build(timeout=0.5)
    assert time.monotonic() - started < 30


def test_real_reports(shared: Path) -> None:
    folder = shared / "hls_reports" / "xml"
    jet = folder / "jet_model-8b_hls_sparse_t"
    figures = parse_csynth(jet / "myhls_csynth.xml")
    assert {k: figures[k] for k in ("BestLatency", "WorstLatency", "IntervalMin", "IntervalMax", "LUT", "DSP")} == {
        "BestLatency": 75, "WorstLatency": 75, "IntervalMin": 35, "IntervalMax": 35, "LUT": 540030, "DSP": 5,
    }  # fmt: skip
    assert figures["TargetClockPeriod"] == 5.0 and figures["EstimatedClockPeriod"] == 3.65
    # Vivado HLS 2020.1 writes DSP48E where Vitis HLS writes DSP.
    assert parse_csynth(folder / "jet_model-8b_hls_full" / "myhls_csynth.xml")["DSP"] == 5
    vivado = parse_vivado(jet / "vivado_synth.rpt")
    assert (vivado["LUT"], vivado["FF"], vivado["BRAM_18K"], vivado["DSP"]) == (201151, 75725, 21, 5)
    modules = vivado["Modules"]
    assert modules["dense_latency_ap_ufixed_8_4_4_0_0_ap_fixed_22_8_5_3_0_config13_U0"]["LUT"] == 1348
    for broken in (parse_csynth, parse_vivado):
        with pytest.raises(SparseQonnxError, match="report"):
            broken(jet / "nothing")
    with pytest.raises(ToolError):
        parse_csynth(jet / "vivado_synth.rpt")
    with pytest.raises(ToolError):
        parse_vivado(jet / "myhls_csynth.xml")


def test_unstatic_shape(tmp_path: Path) -> None:
    model = tanh_model()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "height"
    with pytest.raises(SparseQonnxError):
        to_hls(model, tmp_path / "firmware")
