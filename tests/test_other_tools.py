"""Files that other tools have written: valid, run by onnxruntime, and taken here, or refused for the true reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.compose
import onnx.inliner
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from qonnx_files import events, expected, files

import sparse_qonnx as sq
from harness import KERNELS
from sparse_qonnx import cli
from sparse_qonnx.checks.bodies import _as_written
from sparse_qonnx.checks.fingerprint import fingerprint
from sparse_qonnx.errors import ModelFileError, PrecisionError, UnsupportedNodeError
from sparse_qonnx.files import read_model, write_model
from sparse_qonnx.hls import to_hls
from sparse_qonnx.ops import DOMAIN, operators
from sparse_qonnx.passes.split_variadic import split_variadic
from sparse_qonnx.runtime import run_tensors, with_batch
from sparse_qonnx.standard import rule_of
from sparse_qonnx.uses import live, reads, used_tensors

Change = Callable[[ModelProto], ModelProto]


def copy(model: ModelProto) -> ModelProto:
    result = ModelProto()
    result.CopyFrom(model)
    return result


def assert_same(model: ModelProto, name: str) -> None:
    """Stock onnxruntime, function bodies, native kernels, fused and not, give what the file gave before."""
    source, target = model.graph.input[0].name, model.graph.output[0].name
    feed = {source: events()}
    for how in KERNELS:
        np.testing.assert_array_equal(run_tensors(model, feed, [target], kernels=how)[target], expected(name), how)
    session = sq.InferenceSession(model)  # asked for nothing else, it fuses
    np.testing.assert_array_equal(session.run([target], feed)[0], expected(name))
    report = sq.verify(model, events())
    assert report.ok, str(report)


# ---- functions written out ------------------------------------------------------------------------------------------


def inlined(*names: str, exclude: bool = False) -> Change:
    """Local functions written out, all or some of ours."""
    if not names:
        return lambda m: onnx.inliner.inline_local_functions(m)
    return lambda m: onnx.inliner.inline_selected_functions(m, [(DOMAIN, name) for name in names], exclude)


def without_words(change: Change) -> Change:
    """As a tool leaves it that drops documentation and metadata as well."""

    def bare(model: ModelProto) -> ModelProto:
        result = copy(change(model))
        for node in result.graph.node:
            node.ClearField("doc_string")
            for attribute in node.attribute:
                for inner in attribute.g.node:
                    inner.ClearField("doc_string")
        return result

    return bare


INLINED: dict[str, Change] = {
    "all": inlined(),
    **{name: inlined(name) for name in operators()},
    "all but SparsePool": inlined("SparsePool", exclude=True),
}


@pytest.mark.parametrize("name", files())
@pytest.mark.parametrize("what", INLINED)
def test_functions_written_out(name: str, what: str, tmp_path: Path) -> None:
    """Some `If` reads tensors outside now: fusion must not remove them."""
    model = INLINED[what](files()[name])
    onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert_same(model, name)
    is_used = what not in operators() or any(node.op_type == what for node in files()[name].graph.node)
    if is_used:
        with pytest.raises(
            UnsupportedNodeError, match=r"node '.+' \(\w+\): is a part of the function .+::.+written out"
        ):
            to_hls(model, tmp_path / "firmware")
        with pytest.raises(UnsupportedNodeError, match=r"node '.+' \(\w+\): "):
            to_hls(without_words(INLINED[what])(files()[name]), tmp_path / "firmware")
    assert not list(tmp_path.iterdir()) or not is_used


@pytest.mark.parametrize("name", files())
def test_commands_take_such_a_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, x = tmp_path / "m.onnx", tmp_path / "x.npy"
    write_model(INLINED["SparsePool"](files()[name]), path)
    np.save(x, events())
    for arguments in (["info", path], ["report", path, "-o", tmp_path / "r.html"], ["verify", path, "--input", x]):
        assert cli.main([str(a) for a in arguments]) == 0, capsys.readouterr().err
    assert "qonnx not compared" in capsys.readouterr().out


def test_a_maximum_begins_at_minus_infinity() -> None:
    """A constant that is not finite is refused where an operator computes with it, not where it stands in the file."""
    model = inlined("SparsePool")(files()["wide"])
    folded = {"lowest_0": -np.inf, "one_over_0": np.inf}
    for old, value in folded.items():
        for graph in (a.g for node in model.graph.node for a in node.attribute if a.HasField("g")):
            made = [node for node in graph.node if node.output[0].startswith(old)]
            for node in made:
                constant = numpy_helper.from_array(np.float32(value), node.output[0])
                graph.node.remove(node)
                model.graph.initializer.append(constant)
    assert any(not np.isfinite(numpy_helper.to_array(t)).all() for t in model.graph.initializer if t.data_type == 1)
    assert_same(model, "wide")
    for tensor in model.graph.initializer:
        if tensor.name == "conv.kernel":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(np.inf), tensor.name))
    with pytest.raises(PrecisionError, match=r"conv\.kernel.*NaN or infinity"):
        read_model(model)


def test_what_subgraphs_read_counts() -> None:
    def tensor(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])

    inner = helper.make_node("If", ["c"], ["r"], then_branch=_branch("deep", "a"), else_branch=_branch("own", "o"))
    outer = helper.make_graph([helper.make_node("Neg", ["b"], ["o"]), inner], "g", [], [tensor("r")])
    node = helper.make_node("If", ["c"], ["y"], then_branch=outer, else_branch=_branch("e", "y0"))
    assert {*reads(node)} == {"c", "a", "b", "y0"}
    makers = [helper.make_node("Neg", ["x"], [name]) for name in ("a", "b", "y0", "c", "unused")]
    assert [n.output[0] for n in live([*makers, node], ["y"])] == ["a", "b", "y0", "c", "y"]
    model = helper.make_model(helper.make_graph([*makers, node], "g", [tensor("x")], [tensor("y")]))
    assert used_tensors(model) == {"x", "a", "b", "y0", "c", "y"}


def _branch(name: str, source: str) -> onnx.GraphProto:
    result = helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])
    return helper.make_graph([helper.make_node("Identity", [source], [name])], name, [], [result])


def test_merges_of_unknown_shape_are_left(tmp_path: Path) -> None:
    """`KeyError` in `split_variadic`, before anything could say what has no hardware."""
    model = without_words(inlined("InputReduce"))(files()["narrow"])
    assert any(node.op_type == "Concat" and len(node.input) == 3 for node in model.graph.node)
    assert len(split_variadic(model).graph.node) == len(model.graph.node)
    with pytest.raises(UnsupportedNodeError, match=r"has no hardware|no exact grid|no fixed-point"):
        to_hls(model, tmp_path / "firmware")


# ---- operator sets, functions, types --------------------------------------------------------------------------------


def imported_twice(model: ModelProto) -> ModelProto:
    result = copy(model)
    result.opset_import.extend(model.opset_import)
    return result


def importing_everything(model: ModelProto) -> ModelProto:
    """As onnxruntime saves it after our library was registered in the process."""
    result = copy(model)
    for domain, version in (("sparse_qonnx.ops.fused", 1000), ("com.microsoft", 1), ("ai.onnx.ml", 5)):
        result.opset_import.add(domain=domain, version=version)
    return result


def types_twice(model: ModelProto) -> ModelProto:
    """Once as they are and once with nothing known, as onnxslim does."""
    result = copy(model)
    for value in list(result.graph.value_info)[:4]:
        again = result.graph.value_info.add()
        again.CopyFrom(value)
        for n, dim in enumerate(again.type.tensor_type.shape.dim):
            dim.dim_param = f"unk__{n}"
    return result


def without_functions(model: ModelProto) -> ModelProto:
    result = copy(model)
    del result.functions[:]
    return result


def converted(version: int) -> Change:
    return lambda model: onnx.version_converter.convert_version(copy(model), version)


def reordered(model: ModelProto) -> ModelProto:
    """Function bodies sorted anew: what can be computed first comes first."""
    result = copy(model)
    for function in result.functions:
        left, known, order = [*function.node], {*function.input, ""}, []
        while left:
            ready = [node for node in left if known.issuperset(reads(node))]
            order += ready[::-1]
            known.update(name for node in ready for name in node.output)
            left = [node for node in left if node not in ready]
        nodes = [copied(node) for node in order]
        del function.node[:]
        function.node.extend(nodes)
    return result


def copied(node: onnx.NodeProto) -> onnx.NodeProto:
    result = onnx.NodeProto()
    result.CopyFrom(node)
    return result


def with_unnamed_batch(model: ModelProto) -> ModelProto:
    result = copy(model)
    for value in (*result.graph.input, *result.graph.output, *result.graph.value_info):
        for dim in value.type.tensor_type.shape.dim[:1]:
            if dim.dim_param:
                dim.Clear()
    return result


FORMS: dict[str, Change] = {
    "imported twice": imported_twice,
    "importing everything": importing_everything,
    "types twice": types_twice,
    "without functions": without_functions,
    "operator set 21": converted(21),
    "newer functions": lambda m: read_model(converted(23)(m)),
    "bodies reordered": reordered,
    "batch without name": with_unnamed_batch,
}


@pytest.mark.parametrize("name", files())
@pytest.mark.parametrize("form", FORMS)
def test_other_forms_of_the_same(name: str, form: str, tmp_path: Path) -> None:
    model = FORMS[form](files()[name])
    assert model != files()[name]
    assert_same(model, name)
    assert read_model(read_model(model)) == read_model(model)
    to_hls(model, tmp_path / "firmware")
    write_model(model, tmp_path / "m.onnx")
    for arguments in (["info"], ["report", "--events", "5", "-o", str(tmp_path / "r.html")]):
        assert cli.main([arguments[0], str(tmp_path / "m.onnx"), *arguments[1:]]) == 0


def test_a_batch_without_name_gets_a_size() -> None:
    model = with_batch(with_unnamed_batch(files()["narrow"]), 3)
    dims = [value.type.tensor_type.shape.dim[0] for value in (*model.graph.input, *model.graph.output)]
    assert [dim.dim_value for dim in dims] == [3, 3]


def test_contradicting_types_are_refused() -> None:
    model = copy(files()["narrow"])
    model.graph.value_info.add().CopyFrom(model.graph.value_info[0])
    model.graph.value_info[-1].type.tensor_type.elem_type = 11
    with pytest.raises(ModelFileError, match="2 of value_info"):
        read_model(model)


# ---- function bodies ------------------------------------------------------------------------------------------------


def test_a_fingerprint_is_what_a_function_computes() -> None:
    for model in files().values():
        for function, other in zip(model.functions, reordered(model).functions, strict=True):
            assert list(function.node) != list(other.node) and fingerprint(function) == fingerprint(other)


def test_every_change_of_a_body_has_another_fingerprint() -> None:
    """One operator, one input, one constant, one attribute, one result changed at a time, in branches too."""
    rule = rule_of(DOMAIN, "SparsePool")
    assert rule is not None
    body = rule.function(())
    assert body is not None
    seen = {fingerprint(body)}
    changed = 0
    for n, node in enumerate(body.node):
        for change in _changes(node):
            other = onnx.FunctionProto()
            other.CopyFrom(body)
            change(other.node[n])
            seen.add(fingerprint(other))
            changed += 1
    assert len(seen) == changed + 1 and changed > 100


def _changes(node: onnx.NodeProto) -> list[Callable[[onnx.NodeProto], None]]:
    found: list[Callable[[onnx.NodeProto], None]] = [lambda n: setattr(n, "op_type", f"{n.op_type}X")]
    found += [
        lambda n, k=k: n.input.__setitem__(k, "coords" if n.input[k] != "coords" else "features")
        for k in range(len(node.input))
    ]  # type: ignore[misc]
    for k, attribute in enumerate(node.attribute):
        if attribute.HasField("g"):
            for m in range(len(attribute.g.node)):
                found.append(lambda n, k=k, m=m: setattr(n.attribute[k].g.node[m], "op_type", "X"))  # type: ignore[misc]
        elif attribute.HasField("t"):
            found.append(lambda n, k=k: n.attribute[k].t.CopyFrom(numpy_helper.from_array(np.float32(7.5))))  # type: ignore[misc]
        else:
            found.append(lambda n, k=k: setattr(n.attribute[k], "name", "other"))  # type: ignore[misc]
    return found


def test_a_body_of_another_meaning_is_refused() -> None:
    model = copy(files()["narrow"])
    function = next(f for f in model.functions if f.name == "SparsePool")
    next(node for node in function.node if node.op_type == "LessOrEqual").op_type = "Less"
    with pytest.raises(ModelFileError, match=r"not the definition.*delete the function"):
        read_model(model)
    model.functions.remove(function)
    assert_same(model, "narrow")


def test_constants_of_bodies_are_tensors() -> None:
    """graphsurgeon and onnxslim read `value_float` as float64, and write files that onnxruntime rejects."""
    for model in files().values():
        for function in model.functions:
            names = {
                a.name
                for node in function.node
                if node.op_type == "Constant"
                for a in node.attribute
                if not a.ref_attr_name
            }
            assert names <= {"value", "value_string"}, function.name


def test_our_own_bodies_need_no_closer_look() -> None:
    for model in files().values():
        for function in model.functions:
            assert function.SerializeToString(deterministic=True) in _as_written(function.domain, function.name)


# ---- functions under other names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", files())
def test_functions_with_a_prefix_are_the_same_operators(name: str) -> None:
    """`onnx.compose` gives functions a prefix as well: an operator is what its body computes."""
    model = onnx.compose.add_prefix(copy(files()[name]), "left_")
    assert all(node.op_type.startswith("left_") for node in model.graph.node if node.domain == DOMAIN)
    read = read_model(model)
    kinds = [(n.domain, n.op_type) for n in read.graph.node]
    assert kinds == [(n.domain, n.op_type) for n in files()[name].graph.node]
    assert len(read.functions) == len(files()[name].functions)


def test_two_of_ours_in_one_file() -> None:
    """Side by side, one with formats by pixel and one without: one body serves both."""
    model = onnx.compose.add_prefix(copy(files()["narrow"]), "left_")
    other = onnx.compose.add_prefix(copy(files()["wide"]), "right_")
    model.graph.MergeFrom(other.graph)
    model.functions.extend(other.functions)
    feed = {"left_image": events(), "right_image": events()}
    read = read_model(model)
    names = [(function.domain, function.name) for function in read.functions]
    assert len({*names}) == len(names) and not any(name.startswith(("left", "right")) for _, name in names)
    for how in KERNELS:
        found = run_tensors(model, feed, kernels=how)
        np.testing.assert_array_equal(found["left_softmax"], expected("narrow"), how)
        np.testing.assert_array_equal(found["right_dense"], expected("wide"), how)


@pytest.mark.parametrize(("op", "is_taken"), [("Max", True), ("Min", True), ("Mul", False), ("Add", False)])
def test_infinity_may_be_chosen_but_not_computed_with(op: str, is_taken: bool) -> None:
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 3]) for n in "xy")
    limit = numpy_helper.from_array(np.array([-np.inf, np.inf, 0], np.float32), "limit")
    graph = helper.make_graph([helper.make_node(op, ["x", "limit"], ["y"], name="n")], "g", [x], [y], [limit])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    if not is_taken:
        with pytest.raises(PrecisionError, match=r"limit.*NaN or infinity"):
            read_model(model)
        return
    values = np.array([[1, 2, 3]], np.float32)
    want = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": values})[0]
    np.testing.assert_array_equal(sq.InferenceSession(model).run(None, {"x": values})[0], want)
    assert sq.verify(model, values).ok
