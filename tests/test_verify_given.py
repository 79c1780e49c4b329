"""`verify` keeps its promise: every output of everything that is given is compared, whatever the tensors are called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

import sparse_qonnx as sq
from keras_models import events, sparse_model
from sparse_qonnx import cli
from sparse_qonnx.comparison import Comparison, ComparisonTable, Report
from sparse_qonnx.files import write_model
from sparse_qonnx.offgrid import OffGrid
from sparse_qonnx.verify import verify
from test_verify import FakeProject


def renamed(model: ModelProto, suffix: str = "_7") -> ModelProto:
    """The same network, every tensor under another name."""
    result = ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name += suffix
    for node in graph.node:
        node.input[:] = [name and name + suffix for name in node.input]
        node.output[:] = [name and name + suffix for name in node.output]
    del graph.quantization_annotation[:]
    return result


def retrained(model: ModelProto) -> ModelProto:
    """The same layers with other weights."""
    result = ModelProto()
    result.CopyFrom(model)
    (kernel,) = [t for t in result.graph.initializer if t.name.startswith("dense.kernel") and len(t.dims) == 2]
    kernel.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(kernel), kernel.name))
    return result


@pytest.fixture
def project_of(tmp_path: Path) -> Callable[[ModelProto], FakeProject]:
    def make(model: ModelProto) -> FakeProject:
        write_model(model, tmp_path / "of_project.onnx")
        outputs = [value.name for value in model.graph.output]
        return FakeProject(tmp_path / "of_project.onnx", tensors=tuple(outputs))

    return make


def wrong(report: Any) -> set[tuple[str, str]]:
    return {(row.tensor, row.other) for row in report.table if not row.ok}


# ---- projects and other files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["project", "other"])
def test_other_names(small_model: Path, small_events: np.ndarray, project_of: Any, given: str) -> None:
    """The same network under other names agrees; another network under other names does not."""
    model = onnx.load(small_model)
    for other, ok in ((renamed(model), True), (renamed(retrained(model)), False)):
        more = {"project": project_of(other)} if given == "project" else {"others": [other]}
        report = verify(small_model, small_events, **more)
        name = {"project": "C-simulation", "other": "file 2"}[given]
        assert report.ok is ok
        assert report.compared[name] == 1
        assert wrong(report) == (set() if ok else {("softmax", name)})
        assert f"{name} 1" in report.summary
        assert f"softmax ({name}: softmax_7)" in str(report)


def test_every_implementation_is_counted(small_model: Path, small_events: np.ndarray) -> None:
    report = verify(small_model, small_events, others=[small_model])
    counts = set(report.compared.values())
    assert list(report.compared)[-1] == "small.onnx"
    assert len(counts) == 1
    assert counts.pop() == len({row.tensor for row in report.table}) > 7
    assert report.summary.startswith("No mismatch")


def test_outputs_that_only_one_side_has(small_model: Path, small_events: np.ndarray, project_of: Any) -> None:
    more = onnx.load(small_model)
    more.graph.output.add().CopyFrom(next(v for v in more.graph.value_info if v.name == "dense"))
    for file, other, found in (
        (small_model, more, "gives 2 outputs (softmax, dense), the file 1 output (softmax): 'dense' compared"),
        (
            more,
            onnx.load(small_model),
            "gives 1 output (softmax), the file 2 outputs (softmax, dense): 'dense' compared",
        ),
    ):
        report = verify(file, small_events, project=project_of(other))
        assert not report.ok
        assert not wrong(report)
        assert any(found in problem for problem in report.problems), report.problems
        assert report.summary.startswith("DIFFERENT OUTPUTS")
        assert found in str(report)


def test_outputs_of_another_shape(small_model: Path, small_events: np.ndarray) -> None:
    other = onnx.load(small_model)
    del other.graph.output[:]
    other.graph.output.add().CopyFrom(next(v for v in other.graph.value_info if v.name == "flatten"))
    report = verify(small_model, small_events, others=[other])
    assert not report.ok
    assert report.problems == ["file 2: output 'flatten' has shape [B, 24], the file's 'softmax' [B, 3]"]
    assert wrong(report) == {("softmax", "file 2")}


def test_outputs_in_another_order(small_model: Path, small_events: np.ndarray) -> None:
    one, other = onnx.load(small_model), onnx.load(small_model)
    dense = next(v for v in one.graph.value_info if v.name == "dense")
    one.graph.output.add().CopyFrom(dense)
    other.graph.output.insert(0, dense)
    assert verify(one, small_events, others=[other]).ok


def test_nothing_to_compare_is_a_failure(
    small_model: Path, small_events: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = sq.Network("other")
    image = net.input("picture", (5, 5, 1))
    net.output(net.flatten(net.input_reduce(image, 3)))
    net.save(tmp_path / "other.onnx", "ap_ufixed<6,1>")
    report = verify(small_model, small_events, others=[tmp_path / "other.onnx"])
    assert not report.ok
    assert report.compared["other.onnx"] == 0
    assert report.summary.startswith("NOTHING WAS COMPARED with other.onnx")
    assert "its inputs are 'picture' [B, 5, 5, 1], the file's 'image' [B, 6, 8, 1]" in report.problems[0]
    np.save(tmp_path / "x.npy", small_events)
    command = ["verify", str(small_model), "--input", str(tmp_path / "x.npy"), "-o", str(tmp_path / "report.json")]
    assert cli.main([*command, "--other", str(tmp_path / "other.onnx")]) == 1
    assert "NOTHING WAS COMPARED with other.onnx" in capsys.readouterr().out
    written = json.loads((tmp_path / "report.json").read_text())
    assert not written["ok"]
    assert written["compared"]["other.onnx"] == 0


def test_a_report_without_a_tensor_of_an_implementation_fails() -> None:
    rows = ComparisonTable([Comparison("t", "onnxruntime", "NumPy", values=4)])
    assert Report(rows, 1, OffGrid(4), implementations=["NumPy"]).ok
    report = Report(rows, 1, OffGrid(4), implementations=["NumPy", "Keras"])
    assert not report.ok
    assert report.summary.startswith("NOTHING WAS COMPARED with Keras (1 tensors")
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    assert not Report(ComparisonTable([]), 1, OffGrid(4)).ok


def test_a_head_that_the_firmware_leaves_out(small_model: Path, small_events: np.ndarray, tmp_path: Path) -> None:
    project = sq.to_hls(small_model, tmp_path / "firmware", config={"head": "skip"})
    assert (project.outputs, project.left_out) == ([], ["softmax"])
    assert project.is_made_from(onnx.load(small_model))
    assert not project.is_made_from(retrained(onnx.load(small_model)))
    wider = sq.to_hls(small_model, tmp_path / "wider", config={"input_precision": "ap_ufixed<7,2>"})
    assert wider.is_made_from(onnx.load(small_model))
    fake = FakeProject(small_model, tensors=("conv", "dense"))
    fake.outputs, fake.left_out = [], ["softmax"]
    assert verify(small_model, small_events, project=fake).compared["C-simulation"] == 2
    fake.left_out = []
    assert not verify(small_model, small_events, project=fake).ok


def test_the_order_of_arguments_before(small_model: Path, small_events: np.ndarray) -> None:
    fake = FakeProject(small_model)
    with pytest.warns(DeprecationWarning, match=r"is now verify\(model, x, keras_model, project\)"):
        report = verify(None, small_model, fake, small_events)
    assert report == verify(small_model, small_events, project=fake)


# ---- Keras ----------------------------------------------------------------------------------------------------------


def network(conv: str = "conv", dense: str = "dense", *, seed: int = 0, last: bool = False) -> Any:
    import keras
    from hgq.layers import QDense
    from sparsepixels.layers import QConv2DSparse

    def body(x: Any, mask: Any) -> Any:
        x = QConv2DSparse(2, 3, padding="same", name=conv)([x, mask])
        x = QDense(4, name=dense)(keras.layers.Flatten(name=f"{dense}_flat")(x))
        return QDense(4, name="last")(x) if last else x

    return sparse_model(body, seed=seed)


@pytest.fixture(scope="module")
def trained() -> tuple[Any, ModelProto]:
    model = network()
    return model, sq.export(model, None, "ap_fixed<10,6>")


def test_the_same_keras_model(trained: tuple[Any, ModelProto]) -> None:
    model, file = trained
    report = verify(file, events(), model)
    assert report.ok, str(report)
    keras = next(name for name in report.compared if name.startswith("Keras"))
    assert report.compared[keras] >= 4
    assert not any("weights" in note for note in report.notes)


@pytest.mark.parametrize("names", [("conv_1", "dense_1"), ("first", "conv"), ("dense", "last")])
def test_keras_under_other_names(trained: tuple[Any, ModelProto], names: tuple[str, str]) -> None:
    """Keras numbers unnamed layers anew in every process: the same name may be that of another layer."""
    model, file = trained
    other = network(*names)
    other.set_weights(model.get_weights())
    report = verify(file, events(), other)
    assert report.ok, str(report)
    keras = next(name for name in report.compared if name.startswith("Keras"))
    assert {row.counterpart for row in report.table if row.other == keras} >= {names[1]}
    shifted = any("the same weights under other names" in note for note in report.notes)
    assert shifted == bool({"conv", "dense"} & set(names))


@pytest.mark.parametrize("kind", ["retrained", "retrained under other names", "one more layer"])
def test_another_keras_model(trained: tuple[Any, ModelProto], kind: str) -> None:
    model, file = trained
    if kind == "one more layer":
        other = network(last=True)
        known = {layer.name: layer.get_weights() for layer in model.layers}
        for layer in other.layers:
            if layer.name in known:
                layer.set_weights(known[layer.name])
    else:
        other = network(*(("conv_1", "dense_1") if "names" in kind else ()), seed=1)
    report = verify(file, events(), other)
    assert not report.ok
    keras = next(name for name in report.compared if name.startswith("Keras"))
    assert ("dense", keras) in wrong(report)
    assert report.summary.startswith("MISMATCH")
    if kind == "one more layer":  # and what is named alike agrees
        assert {row.label for row in report.table if not row.ok} == {f"dense ({keras}: last)"}
    assert any("are not those that the file was made from" in note for note in report.notes)


def test_a_weight_changed_after_qonnx_cleanup(trained: tuple[Any, ModelProto]) -> None:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.cleanup import cleanup_model

    model, file = trained
    cleaned = cleanup_model(ModelWrapper(file))
    report = verify(cleaned, events(), model)
    assert report.ok, str(report)
    name = max((t for t in cleaned.graph.initializer if t.data_type == 1), key=lambda t: np.prod(t.dims)).name
    cleaned.set_initializer(name, -cleaned.get_initializer(name))
    report = verify(cleaned, events(), model)
    assert not report.ok
    assert {other for _, other in wrong(report)} == {next(n for n in report.compared if n.startswith("Keras"))}
