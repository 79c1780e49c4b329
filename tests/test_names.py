"""Tensors and nodes called like anything we make: the names of a file mean nothing, and no pass takes one of them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

import sparse_qonnx as sq
from harness import KERNELS
from sparse_qonnx.datasets.random import random_inputs
from sparse_qonnx.fusion import fuse
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.hls import to_hls
from sparse_qonnx.info import describe
from sparse_qonnx.naming import Names
from sparse_qonnx.passes import finalize
from sparse_qonnx.passes.split_variadic import split_variadic
from sparse_qonnx.reference import run_reference
from sparse_qonnx.roles import coordinates
from sparse_qonnx.runtime import run_qonnx, run_tensors
from sparse_qonnx.uses import all_graphs

PACKAGE = Path(sq.__file__).parent


def merging() -> sq.Network:
    """A sparse network with everything that a pass rewrites: merges of three, wide sums, formats by pixel."""
    rng = np.random.default_rng(5)

    def grid(*shape: int, bits: int = 4) -> np.ndarray:
        return (rng.integers(1 - 2 ** (bits - 1), 2 ** (bits - 1), shape) / 2 ** (bits - 1)).astype(np.float32)

    net = sq.Network("merging")
    x = net.input_reduce(net.input("image", (4, 5, 1)), 6, name="reduce")
    x = net.fixed_point_quant(
        x, 0, rng.integers(0, 2, (4, 5, 1)), rng.integers(1, 4, (4, 5, 1)), "TRN", "WRAP", name="q"
    )
    x = net.sparse_conv(x, grid(2, 1, 3, 3, bits=18), grid(2, bits=18), name="conv")
    x = net.fixed_point_quant(x, 1, 3, 12, "RND", "SAT", name="middle")
    y = net.dense(
        net.flatten(net.sparse_pool(x, (2, 2), "max", name="pool"), name="flat"), grid(8, 3, bits=16), name="d"
    )
    a, b = net.relu(y, name="a"), net.op("Neg", [y], name="b")
    net.output(net.op("Max", [a, b, y], name="m"))
    net.output(net.op("Concat", [a, y, b], name="c", axis=-1))
    return net


def renamed(model: ModelProto, tensors: dict[str, str], nodes: dict[str, str] | None = None) -> ModelProto:
    """The same model, some tensors and nodes called something else."""
    result = ModelProto()
    result.CopyFrom(model)
    for graph in all_graphs(result.graph):
        for values in (graph.input, graph.output, graph.value_info, graph.initializer):
            for value in values:
                value.name = tensors.get(value.name, value.name)
        for annotation in graph.quantization_annotation:
            annotation.tensor_name = tensors.get(annotation.tensor_name, annotation.tensor_name)
        for node in graph.node:
            node.name = (nodes or tensors).get(node.name, node.name)
            for names in (node.input, node.output):
                names[:] = [tensors.get(name, name) for name in names]
    return result


def names_of(model: ModelProto) -> list[str]:
    """Of all tensors that nodes make, and of all constants."""
    return [n for node in model.graph.node for n in node.output] + [t.name for t in model.graph.initializer]


def made_by_passes(model: ModelProto) -> list[str]:
    """Names that are in the rewritten copies of a model and not in the model."""
    rewritten = [*names_of(split_variadic(model)), *names_of(fuse(model))]
    return sorted({*rewritten} - {*names_of(model)})


@pytest.fixture(scope="module")
def merged() -> ModelProto:
    return merging().build("ap_ufixed<6,1>")


def hostile(model: ModelProto, seed: int) -> tuple[ModelProto, dict[str, str]]:
    """The model with inner tensors called like what the passes would make of it, all over again, drawn at random."""
    rng = np.random.default_rng(seed)
    wanted = [*made_by_passes(model), "no_coords", "predicted_coords", "m.cast", "m.exact", "x.raised", "m.1", "m.2"]
    ends = {v.name for v in (*model.graph.input, *model.graph.output)}
    inner = [name for name in names_of(model) if name not in ends]
    # Names are given one after another, as new ones follow from those that were given.
    given = dict(
        zip(rng.permutation(inner).tolist(), rng.permutation(list(dict.fromkeys(wanted))).tolist(), strict=False)
    )
    kept = {old: new for old, new in given.items() if new not in names_of(model)}
    return renamed(model, kept), kept


@pytest.mark.parametrize("seed", range(4))
def test_inner_tensors_called_like_what_passes_make(merged: ModelProto, seed: int) -> None:
    model, given = hostile(merged, seed)
    assert len(given) > 5
    onnx.checker.check_model(model, full_check=True)
    events = random_inputs(model, 40)
    want = run_reference(merged, events)
    for how in KERNELS:
        found = run_tensors(model, events, kernels=how)
        for name, values in want.items():
            np.testing.assert_array_equal(found[name], values, err_msg=f"{how} {name}")
    for name, values in run_qonnx(model, events).items():
        np.testing.assert_array_equal(values, want[name])
    for rewritten in (split_variadic(model), fuse(model)):
        made = names_of(rewritten)
        assert len({*made}) == len(made)


@pytest.mark.csim
@pytest.mark.parametrize("seed", [0])
def test_firmware_of_such_tensors(
    merged: ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setenv("CXXFLAGS", "-O0")
    model, given = hostile(merged, seed)
    project = to_hls(model, tmp_path / "firmware")
    events = random_inputs(model, 40)
    tensors = [given.get(name, name) for name in ("conv", "middle", "pool", "a", "b", "m", "c")]
    want = run_tensors(model, events, tensors)
    for name, values in project.predict_tensors(events, [n for n in tensors if n in project.tensors]).items():
        np.testing.assert_array_equal(values.astype(want[name].dtype), want[name], err_msg=name)
    assert {"m", "c"} <= {*project.tensors}


@pytest.mark.csim
def test_maximum_of_three_beside_its_own_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tensors `m.1`: the firmware took one for the other and differed in 343 values without a word."""
    monkeypatch.setenv("CXXFLAGS", "-O0")
    graph = GraphBuilder("merges")
    x = graph.input("x", [6])
    (a,) = graph.node("Neg", [x], ["a"])
    (other,) = graph.node("Relu", [x], ["m.1"])
    (m,) = graph.node("Max", [a, x, other], ["m"])
    (y,) = graph.node("Sub", [m, other], ["y"])
    graph.output(y)
    graph.output(m)
    model = finalize(graph.build(), "ap_fixed<6,3>")
    project = to_hls(model, tmp_path / "firmware")
    events = random_inputs(model, 100)
    want = run_reference(model, events, ["m.1", "m", "y"])
    for name, values in want.items():
        np.testing.assert_array_equal(
            project.predict(events["x"], tensor=name).astype(np.float32), values, err_msg=name
        )


# ---- while a file is made -------------------------------------------------------------------------------------------


def clipped(high: str, first: str, second: str) -> GraphBuilder:
    """A sum that needs float64, clipped, and two tensors of any name."""
    graph = GraphBuilder("wide")
    x = graph.input("x", [4])
    weights = graph.quantized_constant("w", (np.arange(16).reshape(4, 4) * 4097 + 2**16 + 1).astype(np.float32) / 2**17)
    (first,) = graph.node("MatMul", [x, weights], [first])
    (again,) = graph.node("MatMul", [first, weights], [second])
    (limited,) = graph.node(
        "Clip", [again, graph.constant("low", np.float32(-1)), graph.constant(high, np.float32(1))], ["y"]
    )
    graph.output(limited)
    return graph


@pytest.mark.parametrize(
    "names", [("y.raised", "y.exact", "y.cast"), ("x.f64", "y.raised", "y.exact"), ("w.q.f64", "x.f64", "y.f64")]
)
def test_a_wide_file_with_tensors_called_like_casts(names: tuple[str, str, str]) -> None:
    want = finalize(clipped("high", "first", "second").build(), "ap_fixed<14,3>")
    model = finalize(clipped(*names).build(), "ap_fixed<14,3>")
    onnx.checker.check_model(model, full_check=True)
    events = random_inputs(model, 50)
    for how in KERNELS:
        np.testing.assert_array_equal(run_tensors(model, events, kernels=how)["y"], run_reference(want, events)["y"])
    assert any(node.op_type == "Cast" for node in model.graph.node) and len(model.graph.node) == len(want.graph.node)


def test_quantizers_with_a_tensor_called_no_coords() -> None:
    rng = np.random.default_rng(0)
    net = sq.Network("mixed")
    x = net.input_reduce(net.input("image", (3, 3, 1)), 4, name="reduce")
    x = net.fixed_point_quant(x, 0, rng.integers(0, 2, (3, 3, 1)), rng.integers(0, 3, (3, 3, 1)), name="no_coords")
    net.output(net.fixed_point_quant(net.flatten(x), 1, 1, 1, "RND", "WRAP", name="y"))
    model = net.build("ap_ufixed<6,1>")
    onnx.checker.check_model(model, full_check=True)
    events = random_inputs(model, 20)
    for how in KERNELS:
        np.testing.assert_array_equal(run_tensors(model, events, kernels=how)["y"], run_reference(model, events)["y"])


def test_a_network_with_tensors_called_like_parts_of_its_layers(tmp_path: Path) -> None:
    """`Network.save` never writes what the checker rejects; only names that a user gives twice are an error."""
    kernel = np.array([[0.5, -0.25], [0.75, 1]], np.float32)
    net = sq.Network("parts")
    x = net.relu(net.input("d.kernel", (2,)), name="d.kernel.q")
    x = net.op("Neg", [net.op("Neg", [x], name="d.matmul")], name="d.bias")
    net.output(net.dense(x, kernel, kernel[0], name="d"))
    model = net.save(tmp_path / "m.onnx", "ap_fixed<5,2>")
    onnx.checker.check_model(str(tmp_path / "m.onnx"), full_check=True)
    (name,) = (v.name for v in model.graph.output)
    x = np.array([[0.5, -1.25], [-0.5, 1.5]], np.float32)
    np.testing.assert_array_equal(run_tensors(model, {"d.kernel": x})[name], np.maximum(x, 0) @ kernel + kernel[0])
    with pytest.raises(sq.errors.ConfigurationError, match="used twice"):
        net.relu(x, name="d")


# ---- what a tensor is -----------------------------------------------------------------------------------------------


def named_the_other_way() -> ModelProto:
    """Coordinates that are called anything, a softmax that is called like coordinates."""
    net = sq.Network("swapped")
    x = net.input_reduce(net.input("image", (4, 4, 1)), 5, name="reduce")
    x = net.sparse_pool(x, (2, 2), "max", name="pool")
    y = net.dense(net.flatten(x), np.eye(4, 3, dtype=np.float32), name="logits")
    net.output(net.op("Softmax", [y], name="softmax"))
    new = {"reduce.coords": "reduce.places", "pool.coords": "global_out_3", "softmax": "predicted_coords"}
    return renamed(net.build("ap_ufixed<6,1>"), new)


def test_coordinates_are_what_ports_say(tmp_path: Path) -> None:
    model = named_the_other_way()
    assert coordinates(model) == {"reduce.places", "global_out_3"}
    report = sq.verify(model, random_inputs(model, 50)["image"])
    assert report.ok, str(report)
    tolerances = {row.tensor: row.tolerance for row in report.table}
    assert tolerances["predicted_coords"] > 0 and tolerances["reduce.places"] == tolerances["global_out_3"] == 0
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    table = next(part for part in describe(tmp_path / "m.onnx") if hasattr(part, "columns"))
    kinds = dict(zip(*(list(table.columns[n].cells) for n in (0, 4)), strict=True))
    assert {kinds["reduce.places"], kinds["global_out_3"]} == {"row, column"}
    assert kinds["predicted_coords"] == "floating point"


def test_coordinates_behind_an_identity() -> None:
    net = sq.Network("identity")
    image = net.input("image", (4, 4, 1))
    x = net.input_reduce(image, 5, name="reduce")
    passed = net.op("Identity", [x.coords], name="a")
    net.output(net.op("Identity", [passed], name="b"))
    net.output(net.to_dense(x))
    assert coordinates(net.build("ap_ufixed<6,1>")) == {"reduce.coords", "a", "b"}


# ---- fresh names ----------------------------------------------------------------------------------------------------


def test_names_are_never_given_twice() -> None:
    names = Names(["a", "a_1", "b"])
    assert [names(n) for n in ("a", "a", "b", "a_1", "c", "c", "")] == ["a_2", "a_3", "b_1", "a_1_1", "c", "c_1", "_1"]
    upper = Names(["A"], key=str.lower, first=2)
    assert [upper("a"), upper("A"), upper.numbered("b")] == ["a_2", "A_3", "b_2"]


def test_names_inside_of_subgraphs_are_taken() -> None:
    branch = helper.make_graph([helper.make_node("Neg", ["x"], ["y.1"], name="n")], "g", [], [_float("y.1")])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    model = helper.make_model(helper.make_graph([node], "g", [_float("x"), _float("c")], [_float("y")]))
    assert Names.of_tensors(model)("y.1") == "y.1_1"
    assert Names.of_nodes(model)("n") == "n_1"


def _float(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])


# ---- the source -----------------------------------------------------------------------------------------------------

_PARTS = {
    "endswith",
    "startswith",
    "removesuffix",
    "removeprefix",
    "partition",
    "rpartition",
    "split",
    "rsplit",
    "find",
}
_MODULES_AND_FILES = {
    "export/registry.py",  # names of Python modules
    "datasets/files.py",  # names of files
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def found(question: Callable[[ast.AST], bool]) -> list[str]:
    return [f"{name}:{node.lineno}" for name, tree in sources() for node in ast.walk(tree) if question(node)]  # type: ignore[attr-defined]


def counts_up_to_a_free_name(node: ast.AST) -> bool:
    """A loop until a text is not in a collection, the text changed in it: a uniquifier."""
    if not isinstance(node, ast.While):
        return False
    asked = [part.left for part in ast.walk(node.test) if isinstance(part, ast.Compare) and _is_in(part)]
    names = {part.id for left in asked for part in ast.walk(left) if isinstance(part, ast.Name)}
    return any(_makes_text(part, names) for part in ast.walk(node))


def _is_in(comparison: ast.Compare) -> bool:
    return isinstance(comparison.ops[0], ast.In | ast.NotIn)


def _makes_text(node: ast.AST, names: set[str]) -> bool:
    """Whether one of the names is given a text that was put together."""
    if isinstance(node, ast.AugAssign):
        is_text = isinstance(node.value, ast.JoinedStr | ast.Constant) and not isinstance(
            getattr(node.value, "value", ""), int
        )
        targets: list[ast.AST] = [node.target]
    elif isinstance(node, ast.Assign | ast.NamedExpr):
        is_text = isinstance(node.value, ast.JoinedStr)
        targets = list(node.targets) if isinstance(node, ast.Assign) else [node.target]
    else:
        return False
    bases = {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return is_text and not names.isdisjoint(bases)


def asks_a_name(node: ast.AST) -> bool:
    """A part of a text compared with what our own tensors happen to be called, or a name cut at a dot."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in _PARTS:
        return False
    texts = [part.value for part in ast.walk(ast.Tuple(node.args)) if isinstance(part, ast.Constant)]
    cuts = "." if "partition" in node.func.attr or "split" in node.func.attr else None
    return any(isinstance(text, str) and (text == cuts or "coords" in text) for text in texts)


def test_nothing_else_makes_names_unique() -> None:
    assert {name.split(":")[0] for name in found(counts_up_to_a_free_name)} == {"naming.py"}


def test_nothing_asks_what_a_tensor_is_called() -> None:
    assert {name.split(":")[0] for name in found(asks_a_name)} <= _MODULES_AND_FILES


@pytest.mark.parametrize(
    "text",
    ["while name in taken:\n    name += '_'", "while (n := f'{a}_{b}') in taken:\n    b += 1"],
)
def test_a_second_uniquifier_is_found(text: str) -> None:
    assert any(counts_up_to_a_free_name(node) for node in ast.walk(ast.parse(text)))


@pytest.mark.parametrize(
    "text", ["name.endswith('coords')", "node.name.partition('.')[0]", "n.startswith(('coords',))"]
)
def test_a_name_that_is_asked_is_found(text: str) -> None:
    assert any(asks_a_name(node) for node in ast.walk(ast.parse(text)))
