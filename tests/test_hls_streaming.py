"""`io_type: io_stream`: ports of words, exact values through them, what they cost, and what is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.balance import balance
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.lower import lower
from sparse_qonnx.hls.streaming import stored_bits
from sparse_qonnx.passes import finalize
from sparse_qonnx.reference import run_reference
from test_hls_project import compile_strictly
from test_hls_scripts import BACKENDS, run
from test_hls_variants import HEIGHT, SLOTS, WIDTH, images, network

pytestmark = pytest.mark.csim
STREAM = {"io_type": "io_stream"}


@pytest.fixture(autouse=True)
def quick_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXXFLAGS", "-O0")


def several_ports() -> ModelProto:
    """Two inputs, of which one is an image and is read twice; sparse outputs, a matrix, and no input reduction."""
    g = GraphBuilder("ports")
    image, x = g.input("image", [3, 5, 2]), g.input("x", [4])
    (doubled,) = g.node("Add", [image, image], ["twice"])
    features, coords = g.sparse("InputReduce", [image], ["r", "r.coords"], n_max_pixels=4, threshold=0.0)
    weights = g.quantized_constant("w", (np.arange(12).reshape(4, 3) / 4 - 1).astype(np.float32))
    (y,) = g.node("MatMul", [x, weights], ["y"])
    for name in (features, coords, doubled, y):
        g.output(name)
    return finalize(g.build(), "ap_fixed<6,3>")


def check(model: ModelProto, inputs: dict[str, np.ndarray], folder: Path, **config: Any) -> None:
    """Every tensor is the reference's, and the outputs that come out of the streams are."""
    project = to_hls(model, folder, config=STREAM | config)
    names = [name for name, tensor in project.tensors.items() if not tensor.tolerance and name not in inputs]
    wanted = run_reference(model, inputs, names)
    found = project.trace(inputs)
    assert set(found) == {*names, *inputs}
    for name in names:
        np.testing.assert_array_equal(found[name].astype(wanted[name].dtype), wanted[name], err_msg=name)
    for name, values in inputs.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    outputs = project.predict(inputs)
    for value, output in zip(model.graph.output, outputs if isinstance(outputs, tuple) else (outputs,), strict=True):
        np.testing.assert_array_equal(output, wanted[value.name].astype(output.dtype), err_msg=value.name)


def test_a_network_is_exact(tmp_path: Path) -> None:
    """Empty, one pixel, the budget, one more and full events among them; words that end inside of a row."""
    layers = {"reduce": {"variant": "scan", "pixels_per_cycle": 4}, "dense": {"variant": "matrix", "reuse_factor": 8}}
    check(network("max"), {"image": images(40)}, tmp_path / "firmware", layers=layers)


def test_every_kind_of_port(tmp_path: Path) -> None:
    rng, kind = np.random.default_rng(2), FixedPointType.parse("ap_fixed<6,3>")
    shapes = {"image": (30, 3, 5, 2), "x": (30, 4)}
    steps = {n: rng.integers(kind.lowest, kind.highest, s, endpoint=True) for n, s in shapes.items()}
    steps["image"][0], steps["image"][1] = 0, kind.highest
    inputs = {name: (values * 2.0**-kind.frac).astype(np.float32) for name, values in steps.items()}
    check(several_ports(), inputs, tmp_path / "firmware", namespace="net", backend="Vivado")
    text = (tmp_path / "firmware" / "firmware" / "sparse_cnn.cpp").read_text()
    assert text.count("stream_to_array<") == 2 and text.count("array_to_stream<") == 4
    assert "#pragma HLS INTERFACE axis port=image,x,r,r_coords,twice,y" in text and "ap_vld" not in text
    assert text.count("#pragma HLS DATA_PACK variable=") == 6, "Vivado HLS has to be told"


def test_the_bench_passes_under_strict_compilers(small_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "firmware"
    to_hls(small_model, folder, config=STREAM | {"layers": {"reduce": {"variant": "chunk", "pixels_per_cycle": 5}}})
    compile_strictly(folder, "-O0", "-o", "bench", "sparse_cnn_test.cpp", "firmware/sparse_cnn.cpp")
    good = subprocess.run(["./bench"], cwd=folder, capture_output=True, text=True)
    assert good.returncode == 0 and "10 events, 30 values, 0 mismatches" in good.stdout


@pytest.mark.parametrize("backend", BACKENDS)
def test_tcl_runs_to_its_end(backend: str, small_model: Path, tmp_path: Path) -> None:
    to_hls(small_model, tmp_path / "firmware", backend, config=STREAM)
    done = run(tmp_path / "firmware", backend, "csim synth cosim export")
    assert done.returncode == 0 and done.stdout.split()[-2:] == ["did", "export"], done.stderr


@pytest.mark.parametrize(("variant", "pixels"), [("stream", 1), ("chunk", 4), ("scan", 4), ("scan", 2 * WIDTH)])
def test_an_image_takes_the_cycles_in_which_it_arrives(variant: str, pixels: int) -> None:
    config = HlsConfig.read(STREAM | {"layers": {"reduce": {"variant": variant, "pixels_per_cycle": pixels}}})
    choices = balance(lower(network("max"), config), config)
    words = -(-HEIGHT * WIDTH // pixels)
    (reduction,) = (
        s for la, s in zip(choices.graph.layers, choices.schedule.stages, strict=True) if la.node == "reduce"
    )
    trips = words + (SLOTS + 2 if variant == "scan" else 0)
    assert trips < reduction.interval <= trips + 8 and reduction.interval == reduction.latency + 1
    assert choices.graph.inputs[0].values_per_word == 2 * pixels
    assert choices.schedule.interval >= reduction.interval and choices.schedule.latency > reduction.latency


def test_a_stream_needs_no_selector_for_its_pixels(tmp_path: Path) -> None:
    layers = {"reduce": {"variant": "scan", "pixels_per_cycle": WIDTH}}
    parallel = to_hls(network("max"), tmp_path / "parallel", config={"layers": layers}).census()
    streamed = to_hls(network("max"), tmp_path / "streamed", config=STREAM | {"layers": layers}).census()
    before, after = ({la.layer: la for la in census.layers} for census in (parallel, streamed))
    saved = before["reduce"].operations.bits("select") - after["reduce"].operations.bits("select")
    assert saved == HEIGHT * WIDTH * 2 * 6
    assert after["reduce"].cycles == before["reduce"].cycles == HEIGHT + SLOTS + 2
    assert after["dense to stream"].operations.bits("select") == 0 and after["conv1"] == before["conv1"]


def test_what_a_value_takes_in_a_word() -> None:
    widths = {1: 8, 8: 8, 9: 16, 16: 16, 17: 32, 18: 32, 33: 64, 64: 64, 65: 128, 129: 192}
    assert {width: stored_bits(FixedPointType(False, width, 0)) for width in widths} == widths


WIDE = {"input_precision": "ap_fixed<17,2>"}
REFUSED = [
    ({"layers": {"reduce": {"variant": "tree"}}}, "layer 'reduce': variant is 'tree'.*stream, chunk, scan"),
    ({"layers": {"reduce": {"pixels_per_cycle": 72}}} | WIDE, r"layer 'reduce': pixels_per_cycle is 72.* 63"),
    ({"interface": "ap_vld"}, "interface is 'ap_vld' and io_type is 'io_stream'.*axis with.*leave interface out"),
    ({"design": "published"}, "design is 'published' and io_type is 'io_stream'.*balanced"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=["tree", "wide", "ap_vld", "published"])
def test_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        to_hls(network("max"), tmp_path / "firmware", config=STREAM | options)
    assert not (tmp_path / "firmware").exists()


def test_a_pixel_wider_than_a_port_is_refused(tmp_path: Path) -> None:
    g = GraphBuilder("wide")
    for name in g.sparse("InputReduce", [g.input("image", [2, 2, 600])], ["r", "c"], n_max_pixels=2, threshold=0.0):
        g.output(name)
    with pytest.raises(ConfigurationError, match=r"a pixel of 'image' takes 4800 bits.*4096.*io_parallel"):
        to_hls(finalize(g.build(), "ap_fixed<6,3>"), tmp_path / "firmware", config=STREAM)
