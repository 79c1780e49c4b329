"""Files that ask for too much, lie about themselves, or reach outside their folder: one typed error each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from fuzz_files.bases import bases, constant
from native import requires_library
from sparse_qonnx import InferenceSession, cli
from sparse_qonnx.errors import ConfigurationError, ModelFileError, PrecisionError, SparseQonnxError
from sparse_qonnx.errors import UnsupportedNodeError as NodeError
from sparse_qonnx.files import read_model
from sparse_qonnx.hls import to_hls
from sparse_qonnx.limits import VARIABLE, Limits, current, using
from sparse_qonnx.passes.infer_grids import infer_grids
from sparse_qonnx.runtime import run_qonnx
from sparse_qonnx.verify import verify

Change = Callable[[ModelProto], object]


@pytest.fixture(scope="module")
def models() -> dict[str, ModelProto]:
    return bases()


@pytest.fixture
def network(models: dict[str, ModelProto]) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(models["network"])
    return copy


def node(model: ModelProto, op_type: str) -> onnx.NodeProto:
    return next(n for n in model.graph.node if n.op_type == op_type)


def attribute(model: ModelProto, op_type: str, name: str) -> onnx.AttributeProto:
    return next(a for a in node(model, op_type).attribute if a.name == name)


def value(model: ModelProto, name: str) -> onnx.ValueInfoProto:
    return next(v for v in (*model.graph.value_info, *model.graph.input, *model.graph.output) if v.name == name)


def functions_that_double(model: ModelProto) -> None:
    opset = model.opset_import[0]
    model.opset_import.add(domain="mine", version=1)
    for level in range(15):
        called = ("Relu", "") if level == 0 else (f"f{level - 1}", "mine")
        calls = [
            helper.make_node(called[0], [a], [b], domain=called[1]) for a, b in (("x", "h"), ("h", "i"), ("i", "y"))
        ]
        model.functions.append(
            helper.make_function("mine", f"f{level}", ["x"], ["y"], calls, [opset, helper.make_opsetid("mine", 1)])
        )


def function_that_calls_itself(model: ModelProto) -> None:
    call = helper.make_node("f", ["x"], ["y"], domain="mine")
    model.functions.append(helper.make_function("mine", "f", ["x"], ["y"], [call], model.opset_import[:1]))


def standard_operator_redefined(model: ModelProto) -> None:
    body = [helper.make_node("Neg", ["x"], ["y"])]
    model.functions.append(helper.make_function("", "Relu", ["x"], ["y"], body, model.opset_import[:1]))


def body_changed(model: ModelProto, domain: str, name: str) -> None:
    function = next(f for f in model.functions if (f.domain, f.name) == (domain, name))
    tensors = [n.attribute[0].t for n in function.node if n.op_type == "Constant" and n.attribute[0].HasField("t")]
    floats = [tensor for tensor in tensors if tensor.data_type == TensorProto.FLOAT]
    floats[0].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(floats[0]) + np.float32(1)))


def deep_subgraphs(model: ModelProto) -> None:
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["y"])], "g", [], [])
    for _ in range(20):
        graph = helper.make_graph([helper.make_node("If", ["c"], ["y"], then_branch=graph)], "g", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["deep"], name="deep", then_branch=graph))


def scale_of_zero(model: ModelProto) -> None:
    scale = constant(model, "conv.kernel.scale")
    scale.CopyFrom(numpy_helper.from_array(np.zeros((), np.float32), scale.name))


def cycle(model: ModelProto) -> None:
    node(model, "Relu").input[0] = "softmax"


def add_loop(model: ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["", ""], ["late"], name="loop", body=body))


def invalid_text(model: ModelProto) -> None:
    content = model.SerializeToString().replace(b"dense.matmul", b"dense.\xff\xfe_mul")
    model.ParseFromString(content)


def doubled_attribute(model: ModelProto) -> None:
    node(model, "SparsePool").attribute.append(attribute(model, "SparsePool", "mode"))


def fused_node(model: ModelProto) -> None:
    node(model, "Relu").domain = "sparse_qonnx.ops.fused"
    model.opset_import.add(domain="sparse_qonnx.ops.fused", version=1)


REFUSED: list[tuple[str, Change, type[SparseQonnxError], str]] = [
    ("budget", lambda m: setattr(attribute(m, "InputReduce", "n_max_pixels"), "i", 2**17), ModelFileError, "131,072"),
    (
        "no budget",
        lambda m: setattr(attribute(m, "InputReduce", "n_max_pixels"), "i", 0),
        NodeError,
        "n_max_pixels' is 0",
    ),
    (
        "image",
        lambda m: attribute(m, "SparseToDense", "spatial_shape").ints.__setitem__(0, 2**30),
        ModelFileError,
        "pixels",
    ),
    ("kernel", lambda m: attribute(m, "SparsePool", "kernel_shape").ints.__setitem__(0, 2**20), ModelFileError, "taps"),
    (
        "negative",
        lambda m: attribute(m, "SparsePool", "kernel_shape").ints.__setitem__(0, -2),
        NodeError,
        "two integers",
    ),
    (
        "dilations",
        lambda m: node(m, "SparseConv").attribute.append(helper.make_attribute("dilations", [2**20, 1])),
        ModelFileError,
        "dilated kernel spans",
    ),
    ("attribute twice", doubled_attribute, ModelFileError, "2 of attribute 'mode'"),
    (
        "attribute type",
        lambda m: attribute(m, "SparsePool", "mode").CopyFrom(helper.make_attribute("mode", 1)),
        NodeError,
        "another type",
    ),
    (
        "reference",
        lambda m: setattr(attribute(m, "SparsePool", "mode"), "ref_attr_name", "x"),
        ModelFileError,
        "refers to",
    ),
    (
        "input size",
        lambda m: setattr(value(m, "image").type.tensor_type.shape.dim[1], "dim_value", 2**40),
        ModelFileError,
        "tensor 'image': .* values of one tensor in one event",
    ),
    (
        "no pixels",
        lambda m: setattr(value(m, "image").type.tensor_type.shape.dim[1], "dim_value", 0),
        ModelFileError,
        "no values",
    ),
    (
        "shape that lies",
        lambda m: setattr(value(m, "conv").type.tensor_type.shape.dim[1], "dim_value", 500),
        ModelFileError,
        r"tensor 'conv': is stated to be float .*500.*as inferred",
    ),
    (
        "type that lies",
        lambda m: setattr(value(m, "conv").type.tensor_type, "elem_type", TensorProto.DOUBLE),
        ModelFileError,
        "tensor 'conv': is stated to be double",
    ),
    ("dims", lambda m: constant(m, "conv.kernel").dims.__setitem__(0, 2**31), ModelFileError, "values of one constant"),
    ("dims and data", lambda m: constant(m, "conv.kernel").dims.__setitem__(0, 3), ModelFileError, "holds 72 bytes"),
    ("negative dims", lambda m: constant(m, "conv.kernel").dims.__setitem__(0, -1), ModelFileError, "none negative"),
    (
        "NaN",
        lambda m: constant(m, "conv.kernel").CopyFrom(
            numpy_helper.from_array(np.full((2, 1, 3, 3), np.nan, np.float32), "conv.kernel")
        ),
        PrecisionError,
        "NaN",
    ),
    (
        "weights",
        lambda m: constant(m, "conv.kernel").CopyFrom(
            numpy_helper.from_array(np.ones((2, 2, 3, 3), np.float32), "conv.kernel")
        ),
        ModelFileError,
        "conv.kernel.q.*as inferred",
    ),
    (
        "bit width",
        lambda m: constant(m, "conv.kernel.bits").CopyFrom(
            numpy_helper.from_array(np.ones(3, np.float32), "conv.kernel.bits")
        ),
        ModelFileError,
        "bit width",
    ),
    (
        "long name",
        lambda m: setattr(node(m, "Relu"), "name", "n" * 10_000_000),
        ModelFileError,
        "10,000,000 characters",
    ),
    ("text that is none", invalid_text, ModelFileError, "UTF-8"),
    ("cycle", cycle, ModelFileError, "topologically sorted"),
    ("missing input", lambda m: node(m, "Relu").input.__setitem__(0, "nothing"), ModelFileError, "nothing"),
    ("missing output", lambda m: setattr(m.graph.output[0], "name", "nothing"), ModelFileError, "made by no node"),
    (
        "too few inputs",
        lambda m: node(m, "SparseConv").input.__delitem__(slice(1, None)),
        ModelFileError,
        "has 1 inputs",
    ),
    ("no output", lambda m: m.graph.output.pop(), ModelFileError, "has no output"),
    ("opset", lambda m: setattr(m.opset_import[0], "version", 9), ModelFileError, "version 9 of the operator set"),
    (
        "our opset",
        lambda m: setattr(next(o for o in m.opset_import if o.domain == "sparse_qonnx.ops"), "version", 2),
        ModelFileError,
        "version 2 of the operator set 'sparse_qonnx.ops'",
    ),
    ("fused", fused_node, ModelFileError, "(Relu).*makes in memory"),
    ("two versions", lambda m: m.opset_import.add(domain="", version=20), ModelFileError, "2 of operator set ''"),
    ("unknown operator", lambda m: setattr(node(m, "SparsePool"), "op_type", "SparseMagic"), NodeError, "is not in"),
    (
        "annotation",
        lambda m: setattr(m.graph.quantization_annotation[0].quant_parameter_tensor_names[0], "value", "INT9e9"),
        ModelFileError,
        "datatype",
    ),
    ("loop", add_loop, ModelFileError, "how long they run"),
    ("nesting", deep_subgraphs, ModelFileError, "depth of subgraphs"),
    ("recursion", function_that_calls_itself, ModelFileError, "[Rr]ecursive|calls itself"),
    ("doubling", functions_that_double, ModelFileError, "nodes once every function is written out"),
    ("function twice", lambda m: m.functions.append(m.functions[0]), ModelFileError, "two functions"),
    ("Relu redefined", standard_operator_redefined, ModelFileError, "redefines a standard operator"),
    (
        "ours redefined",
        lambda m: body_changed(m, "sparse_qonnx.ops", "SparseToDense"),
        ModelFileError,
        "not the definition",
    ),
    (
        "Quant redefined",
        lambda m: body_changed(m, "qonnx.custom_op.general", "Quant"),
        ModelFileError,
        "not the definition",
    ),
    ("sparse initializer", lambda m: m.graph.sparse_initializer.add(), ModelFileError, "sparse initializers"),
    (
        "precision",
        lambda m: setattr(m.metadata_props[0], "value", f"ap_fixed<{'9' * 5000},1>"),
        PrecisionError,
        "cannot read",
    ),
    ("scale", scale_of_zero, ModelFileError, "has the scale 0"),
    (
        "switch",
        lambda m: node(m, "Flatten").attribute.append(helper.make_attribute("keepdims", 3)),
        ModelFileError,
        "'keepdims' is 3",
    ),
]


@pytest.mark.parametrize(("change", "error", "message"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_refused(
    network: ModelProto, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Change, error: type, message: str
) -> None:
    """By the reader, and so by every command; the message is one line that a terminal can show."""
    change(network)
    path = tmp_path / "hostile.onnx"
    path.write_bytes(network.SerializeToString())
    if error is not PrecisionError or "NaN" in message:  # types of inputs are read when they are needed
        with pytest.raises(error, match=message):
            read_model(path)
    assert cli.main(["info", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and said[:-1].isprintable() and len(said) < 10_000
    assert cli.main_hls([str(path), "-o", str(tmp_path / "firmware")]) == 2
    assert not (tmp_path / "firmware").exists()


@pytest.mark.parametrize("domain", ["", "sparse_qonnx.ops"])
def test_nodes_without_names_are_named(network: ModelProto, domain: str) -> None:
    for n in network.graph.node:
        if n.domain == domain:
            n.name = ""
    names = [n.name for n in read_model(network).graph.node]
    assert all(names) and len({*names}) == len(names)


def test_nodes_of_one_name_are_told_apart(network: ModelProto) -> None:
    """ONNX does not ask for distinct names, and tools that merge or write out functions give one twice."""
    old = [n.name for n in network.graph.node]
    for n in network.graph.node[3:6]:
        n.name = old[0]
    names = [n.name for n in read_model(network).graph.node]
    assert len({*names}) == len(names) and names[:3] + names[6:] == old[:3] + old[6:]


def test_types_that_are_not_stated_are_inferred(network: ModelProto) -> None:
    stated = {v.name: v.SerializeToString() for v in network.graph.value_info}
    del network.graph.value_info[:]
    found = {v.name: v.type for v in read_model(network).graph.value_info}
    assert {*stated} <= {*found}
    assert all(onnx.ValueInfoProto.FromString(content).type == found[name] for name, content in stated.items())


@pytest.mark.parametrize("width", [1e12, 3e38, 0.5, -3, 0])
def test_widths_that_no_integer_should_have(network: ModelProto, width: float) -> None:
    """Exact integers of a trillion bits would take all memory: no grid is claimed instead."""
    bits = constant(network, "conv.kernel.bits")
    bits.CopyFrom(numpy_helper.from_array(np.array(width, np.float32), bits.name))
    assert infer_grids(read_model(network)).grids["conv.kernel.q"] is None


# ---- limits ---------------------------------------------------------------------------------------------------------


def test_limits_can_be_changed(
    network: ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.onnx"
    onnx.save(network, path)
    with using(Limits(slots=2)), pytest.raises(ModelFileError, match=r"3 pixel budget.*at most 2.*--limit slots=3"):
        read_model(path)
    read_model(path)
    assert cli.main(["info", str(path), "--limit", "slots=2"]) == 2
    assert cli.main(["info", str(path), "--limit", "slots=2", "--limit", "slots=3"]) == 0
    monkeypatch.setenv(VARIABLE, "slots=2, nodes=1000")
    assert current() == Limits(slots=2, nodes=1000)
    assert cli.main(["info", str(path)]) == 2
    assert cli.main(["info", str(path), "--limit", "slots=3"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("text", ["slot=3", "slots", "slots=-1", "slots=1e9", "slots=" + "9" * 5000, "=1"])
def test_limits_that_are_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown limit|a whole number"):
        Limits().changed([text], "--limit")


def test_the_limits_are_documented(repository: Path) -> None:
    text = (repository / "docs" / "security.md").read_text()
    for name, meaning in Limits.meanings().items():
        assert f"| `{name}` | {getattr(Limits(), name):,} | {meaning} |" in text


def test_no_firmware_of_windows_larger_than_the_image(network: ModelProto, tmp_path: Path) -> None:
    attribute(network, "SparsePool", "kernel_shape").ints[0] = 5
    for value in network.graph.value_info:
        value.type.tensor_type.ClearField("shape")
    with pytest.raises(NodeError, match=r"'pool' .*windows of 5 x 2 in an image of 4 x 4: none fits"):
        to_hls(network, tmp_path / "firmware")


def test_no_firmware_of_powers_beyond_floating_point(models: dict[str, ModelProto], tmp_path: Path) -> None:
    model = ModelProto()
    model.CopyFrom(models["per_pixel"])
    for name, bits in (("iq.i", 128), ("iq.f", -128)):
        constant(model, name).CopyFrom(numpy_helper.from_array(np.full((3, 4, 2), bits, np.float32), name))
    with pytest.raises(PrecisionError, match=r"'iq' \(FixedPointQuant\): needs 131 bits of magnitude.*float32.*126"):
        to_hls(model, tmp_path / "firmware")


# ---- running --------------------------------------------------------------------------------------------------------


@requires_library
@pytest.mark.parametrize(
    ("kernels", "pixel"),
    # a function body takes some of them for pixels of another row of its output
    [("native", (3, 1)), ("native", (1, 4)), ("native", (-1, 1)), ("native", (2**62, 1)), ("function", (2**62, 1))],
)
def test_coordinates_outside_the_image(models: dict[str, ModelProto], kernels: str, pixel: tuple[int, int]) -> None:
    model = ModelProto()
    model.CopyFrom(models["coordinates_given"])
    coords = numpy_helper.to_array(constant(model, "coords")).copy()
    coords[0, 1] = pixel
    constant(model, "coords").CopyFrom(numpy_helper.from_array(coords, "coords"))
    session = InferenceSession(model, kernels=kernels)
    with pytest.raises(ModelFileError, match="cannot execute"):
        session.run(None, {"features": np.ones((1, 3, 1), np.float32)})


def test_no_module_is_imported_for_a_domain(
    network: ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """qonnx imports the Python module that a node's domain names."""
    (tmp_path / "hostile_module.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    relu = node(network, "Relu")
    relu.domain = "hostile_module"
    network.opset_import.add(domain="hostile_module", version=1)
    with pytest.raises(NodeError, match="domain 'hostile_module', which qonnx does not run"):
        run_qonnx(network, {"image": np.zeros((1, 4, 4, 1), np.float32)})


def test_nothing_to_verify(tmp_path: Path) -> None:
    """A file whose output is a constant: no tensor depends on an input."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 3]) for name in "xy"]
    given = numpy_helper.from_array(np.zeros((2, 3), np.float32), "y")
    graph = helper.make_graph([], "constant", ends[:1], ends[1:], [given])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.save(model, tmp_path / "constant.onnx")
    with pytest.raises(ModelFileError, match="nothing to compare"):
        verify(tmp_path / "constant.onnx", np.zeros((2, 3), np.float32))
