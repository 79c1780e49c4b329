"""Whole designs recorded: what the netlist computes is what the model says, tensor for tensor; every kernel occurs."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from sparse_qonnx import _paths, limits
from sparse_qonnx.errors import ModelFileError, ToolError, UnsupportedNodeError
from sparse_qonnx.graph import GraphBuilder, all_values
from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.balance import balance
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.lower import lower
from sparse_qonnx.hls.typed import TypedGraph
from sparse_qonnx.passes import finalize
from sparse_qonnx.reference import run_reference
from sparse_qonnx.rtl.record import record
from test_hls_csim import joined
from test_hls_golden import per_pixel
from test_hls_streaming import STREAM, several_ports
from test_hls_tail import tail
from test_hls_variants import CASES, WIDTH, network, reduction
from variants import netlist_mismatches

Events = dict[str, np.ndarray]


def designed(model: ModelProto, config: Mapping[str, Any]) -> TypedGraph:
    options = HlsConfig.read(config)
    return balance(lower(model, options), options).graph


def events(graph: TypedGraph, n_events: int = 25) -> Events:
    """None, all lowest, all highest, and anything between, with few and with many values."""
    rng, found = np.random.default_rng(4), {}
    for tensor in graph.inputs:
        kind = tensor.type
        values = rng.integers(kind.lowest, kind.highest, (n_events, *tensor.shape), endpoint=True)
        share = np.linspace(0.02, 1, n_events).reshape(-1, *[1] * len(tensor.shape))
        values = np.where(rng.random(values.shape) < share, values, 0)
        values[:3] = np.reshape((0, kind.lowest, kind.highest), (3, *[1] * len(tensor.shape)))
        found[tensor.name] = (values * 2.0**-kind.frac).astype(np.float32)
    return found


def check(graph: TypedGraph, inputs: Events, wanted: Mapping[str, np.ndarray]) -> None:
    """The netlist of a design gives these tensors, all outputs among them."""
    found = netlist_mismatches(graph, inputs, wanted)
    assert {name: n for name, n in found.items() if n} == {}
    assert {t.name for t in graph.outputs} <= set(found)


LAYERS = {name: {"pixels_per_cycle": n} for name, n in (("conv", 4), ("groups", 1), ("conv1d", 12), ("table.image", 5))}
SCAN = {"reduce": reduction("scan", 4), "dense": {"variant": "matrix", "reuse_factor": 8}}
DESIGNS: dict[str, tuple[ModelProto, Mapping[str, Any]]] = {
    **{f"variants-{name}": (network("max"), {"layers": factors}) for name, factors in CASES.items()},
    "published": (network("max"), {"design": "published"}),
    "stream-serial": (network("average"), STREAM | {"layers": {"reduce": reduction("stream")}}),
    "stream-chunk": (network("max"), STREAM | {"layers": {"reduce": reduction("chunk", WIDTH)}}),
    "stream-scan": (network("max"), STREAM | {"layers": SCAN}),
    "ports": (several_ports(), STREAM | {"namespace": "net"}),
    "per_pixel": (per_pixel(), {}),
    "joined": (joined(2), {}),
    "tail": (tail(), {"layers": LAYERS}),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_a_design_is_exact(name: str) -> None:
    model, config = DESIGNS[name]
    graph = designed(model, config)
    inputs = events(graph)
    names = [name for name in graph.views if name in all_values(model) and name not in inputs]
    check(graph, inputs, run_reference(model, inputs, names) | inputs)


def heads() -> ModelProto:
    g = GraphBuilder("heads")
    x = g.input("x", [3, 4])
    weights = g.quantized_constant("w", (np.arange(12).reshape(4, 3) / 4 - 1).astype(np.float32))
    (y,) = g.node("MatMul", [x, weights], ["y"])
    for op_type in ("Softmax", "Sigmoid"):
        g.output(g.node(op_type, [y], [op_type.lower()])[0])
    return finalize(g.build(), "ap_fixed<6,3>")


HEADS = heads(), {"layers": {"y": {"strategy": "distributed_arithmetic"}}}


@pytest.mark.csim
def test_heads_are_those_of_the_simulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are near the model and exactly what C-simulation gives; a matrix product is an adder graph."""
    pytest.importorskip("da4ml")
    monkeypatch.setenv("CXXFLAGS", "-O0")
    project = to_hls(HEADS[0], tmp_path / "firmware", config=HEADS[1])
    inputs = events(project.graph)
    check(project.graph, inputs, project.trace(inputs))


def test_every_kernel_is_recorded_here() -> None:
    defined: set[str] = set()
    for path in (_paths.hls_backend() / "kernels").glob("*.h"):
        defined.update(re.findall(r"^void (\w+)\(", path.read_text(), re.MULTILINE))
    used = {la.call.function_name for case in (*DESIGNS.values(), HEADS) for la in designed(*case).layers}
    assert defined == used


# ---- what does not become a netlist ---------------------------------------------------------------------------------


def test_limits_are_named_with_figures() -> None:
    graph = designed(network("max"), {})
    with limits.using(limits.Limits(netlist_lines=100)), pytest.raises(ModelFileError) as caught:
        record(graph)
    assert re.match(r"layer \w+, kernel input_reduce_\w+: more than 100 lines and operands", str(caught.value))
    assert "--limit netlist_lines=200" in str(caught.value)
    with (
        limits.using(limits.Limits(netlist_seconds=0)),
        pytest.raises(ModelFileError, match=r"more than 0 s.*netlist_s"),
    ):
        record(graph)


def test_an_image_whose_arrays_are_larger_than_a_stack() -> None:
    """A search through 36,864 pixels at once, as published firmware does it."""
    g = GraphBuilder("large")
    for output in g.sparse("InputReduce", [g.input("image", [192, 192, 1])], ["r", "c"], n_max_pixels=3, threshold=0.0):
        g.output(output)
    graph = designed(finalize(g.build(), "ap_ufixed<4,1>"), {"design": "published"})
    assert record(graph).count("\nreg ") >= 192 * 192


def test_what_is_no_hardware_names_layer_and_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = tmp_path / "backend"
    backend.mkdir()
    for name in ("sim", "templates"):
        (backend / name).symlink_to(_paths.hls_backend() / name)
    (backend / "kernels").mkdir()
    for path in (_paths.hls_backend() / "kernels").iterdir():
        (backend / "kernels" / path.name).symlink_to(path)
    pool = backend / "kernels" / "sparse_pool.h"
    text = pool.read_text()
    pool.unlink()
    monkeypatch.setattr(_paths, "hls_backend", lambda: backend)
    graph = designed(network("max"), {})
    pool.write_text(text.replace("#pragma HLS UNROLL", "if (coords[2 * slot] == 0) continue;", 1))
    with pytest.raises(UnsupportedNodeError, match=r"layer pool_config, kernel sparse_pool: .* a branch on data"):
        record(graph)
    pool.write_text(text.replace("#pragma HLS UNROLL", "this is no C++;"))
    with pytest.raises(ToolError, match=r"cannot compile the recorder: .*sparse_pool\.h"):
        record(graph)


def test_two_at_once_and_nothing_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    graph, found = designed(several_ports(), {}), []
    threads = [threading.Thread(target=lambda: found.append(record(graph))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and len(found) == 2
    assert list(tmp_path.iterdir()) == []
