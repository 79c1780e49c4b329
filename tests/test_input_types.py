"""Inputs that are not float32: float64 behind a Cast, pixels of 8 bits, coordinates of a file that was cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper
from qonnx_files import events, expected, files

import sparse_qonnx as sq
from harness import KERNELS
from sparse_qonnx import cli
from sparse_qonnx.datasets import open_events
from sparse_qonnx.datasets.random import random_inputs
from sparse_qonnx.errors import ConfigurationError, InputDataError, UnsupportedNodeError
from sparse_qonnx.files import write_model
from sparse_qonnx.hls import to_hls
from sparse_qonnx.runtime import run_tensors


def copy(model: ModelProto) -> ModelProto:
    result = ModelProto()
    result.CopyFrom(model)
    return result


def behind_cast(model: ModelProto, kind: int) -> ModelProto:
    """The file with an input of another type, cast to float32."""
    result = copy(model)
    graph = result.graph
    graph.input[0].type.tensor_type.elem_type = kind
    graph.input[0].name = "big"
    nodes = [NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    del graph.node[:]
    graph.node.extend([helper.make_node("Cast", ["big"], ["image"], name="narrowed", to=TensorProto.FLOAT), *nodes])
    for entry in result.metadata_props:
        entry.key = entry.key.replace(".image", ".big")
    return result


def cut(model: ModelProto, folder: Path) -> ModelProto:
    """The file behind its first quantizer: features and coordinates are the inputs now."""
    bare = copy(model)
    del bare.graph.quantization_annotation[:]  # onnx's extractor asks for a file without
    write_model(bare, folder / "whole.onnx")
    target = bare.graph.output[0].name
    onnx.utils.extract_model(str(folder / "whole.onnx"), str(folder / "cut.onnx"), ["lane", "reduce.coords"], [target])
    return onnx.load(folder / "cut.onnx")


def commands(path: Path, inputs: dict[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """Every command takes it; what `run` writes."""
    for name, values in inputs.items():
        np.save(folder / f"{name}.npy", values)
    given = [text for name in inputs for text in ("--input", f"{name}={folder / name}.npy")]
    assert cli.main(["info", str(path)]) == 0
    assert cli.main(["run", str(path), *given, "-o", str(folder / "y.npy")]) == 0
    assert cli.main(["verify", str(path), *given]) == 0
    assert cli.main(["report", str(path), "-o", str(folder / "r.html"), "--events", "6"]) == 0
    return np.load(folder / "y.npy")


@pytest.mark.parametrize("name", files())
def test_float64_behind_a_cast(name: str, tmp_path: Path) -> None:
    model = behind_cast(files()[name], TensorProto.DOUBLE)
    target = model.graph.output[0].name
    for how in KERNELS:
        found = run_tensors(model, {"big": events().astype(np.float64)}, [target], kernels=how)
        np.testing.assert_array_equal(found[target], expected(name), how)
    for values in (events(), events().astype(np.float64)):
        report = sq.verify(model, values)
        assert report.ok, str(report)
    write_model(model, tmp_path / "m.onnx")
    found = commands(tmp_path / "m.onnx", {"big": events().astype(np.float64)}, tmp_path)
    np.testing.assert_array_equal(found, expected(name))
    to_hls(model, tmp_path / "firmware")


@pytest.mark.csim
def test_firmware_of_float64_behind_a_cast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXXFLAGS", "-O0")
    model = behind_cast(files()["wide"], TensorProto.DOUBLE)
    report = sq.verify(model, events().astype(np.float64), project=to_hls(model, tmp_path / "firmware"))
    assert report.ok and "C-simulation" in {row.other for row in report.table}, str(report)


def test_float64_events_are_not_rounded_on_the_way(tmp_path: Path) -> None:
    """For an input of float64, what float32 does not hold arrives."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"], name="y")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["batch", 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    x = np.array([[1 + 2.0**-40, 1e300]])
    np.save(tmp_path / "x.npy", x)
    np.testing.assert_array_equal(open_events(model, [str(tmp_path / "x.npy")]).read(0, 1)["x"], x)
    write_model(model, tmp_path / "m.onnx")
    assert (
        cli.main(["run", str(tmp_path / "m.onnx"), "--input", str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.npy")])
        == 0
    )
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), x)


def test_pixels_of_eight_bits(tmp_path: Path) -> None:
    model = behind_cast(files()["narrow"], TensorProto.UINT8)
    next(entry for entry in model.metadata_props if entry.key.endswith("input_precision.big")).value = "ap_ufixed<8,8>"
    whole = np.rint(events()).astype(np.uint8)
    want = run_tensors(files()["narrow"], {"image": whole.astype(np.float32)})["softmax"]
    write_model(model, tmp_path / "m.onnx")
    np.testing.assert_array_equal(commands(tmp_path / "m.onnx", {"big": whole}, tmp_path), want)
    for kind in (np.int64, np.float32):
        np.save(tmp_path / "x.npy", whole.astype(kind))
        read = open_events(model, [str(tmp_path / "x.npy")]).read(0, len(whole))["big"]
        assert read.dtype == np.uint8 and np.array_equal(read, whole)
    del model.metadata_props[:]
    for bad in (0.5, 256, -1, np.nan):
        x = np.where(np.arange(8)[None, None, :, None] == 2, bad, whole.astype(np.float64))
        with pytest.raises(InputDataError, match=r"input 'big': holds .*integers from 0 to 255"):
            sq.verify(model, x)


@pytest.mark.parametrize("name", files())
def test_a_file_cut_at_features_and_coordinates(name: str, tmp_path: Path) -> None:
    model = cut(files()[name], tmp_path)
    inputs = run_tensors(files()[name], {"image": events()}, ["lane", "reduce.coords"])
    target = model.graph.output[0].name
    for how in KERNELS:
        np.testing.assert_array_equal(run_tensors(model, inputs, [target], kernels=how)[target], expected(name), how)
    report = sq.verify(model, inputs)
    assert report.ok, str(report)
    np.testing.assert_array_equal(commands(tmp_path / "cut.onnx", inputs, tmp_path), expected(name))
    with pytest.raises(UnsupportedNodeError, match=r"input 'reduce\.coords': holds coordinates.*InputReduce"):
        to_hls(model, tmp_path / "firmware", config={"input_precision": {"lane": "ap_ufixed<4,0>"}})


def test_random_coordinates_are_those_of_pixels(tmp_path: Path) -> None:
    model = cut(files()["wide"], tmp_path)
    drawn = random_inputs(model, 50)
    places, features = drawn["reduce.coords"], drawn["lane"]
    assert places.dtype == np.int64 and not places[0].any() and places[1].all()
    assert (places <= [6, 8]).all() and (places >= 0).all() and (places.all(axis=2) | ~places.any(axis=2)).all()
    flat = np.where(places.any(axis=2), places[..., 0] * 9 + places[..., 1], 1000)
    assert (np.diff(flat) >= 0).all() and not features[~places.any(axis=2)].any() and features.any()


@pytest.mark.parametrize(
    "raises",
    [
        lambda: sq.errors.UnsupportedNodeError("here", f"is {(np.int64(4), np.float32(0.5), np.bool_(True))}"),
        lambda: ConfigurationError("here", f"is {np.int64(4)!r}", allowed=f"{[np.uint8(3)]}", fix=f"{np.str_('x')!r}"),
    ],
)
def test_numbers_of_numpy_are_shown_as_numbers(raises: Callable[[], Exception]) -> None:
    assert "np." not in str(raises()) and "4" in str(raises())


def test_a_coordinate_outside_of_a_map_is_told_in_numbers(tmp_path: Path) -> None:
    model = files()["wide"]
    inputs = run_tensors(model, {"image": events()}, ["reduce", "reduce.coords"])
    inputs["reduce.coords"][0, 0] = (7, 1)
    bare = copy(model)
    del bare.graph.quantization_annotation[:]
    write_model(bare, tmp_path / "whole.onnx")
    names = ["reduce", "reduce.coords"]
    onnx.utils.extract_model(
        str(tmp_path / "whole.onnx"), str(tmp_path / "cut.onnx"), names, [bare.graph.output[0].name]
    )
    with pytest.raises(InputDataError, match=r"up to \(6, 8\)"):
        sq.verify(tmp_path / "cut.onnx", inputs)
