"""docs/qonnx.md says what really happens: every transformation and command of qonnx, run anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import qonnx_support
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.cleanup import cleanup_model

import sparse_qonnx as sq
from sparse_qonnx.files import write_model
from sparse_qonnx.graph import all_values, tensor_shape
from sparse_qonnx.ops import DOMAIN, operators
from sparse_qonnx.passes.infer_grids import infer_grids
from sparse_qonnx.runtime import run_tensors, with_batch


@pytest.mark.slow
def test_the_page_is_up_to_date() -> None:
    text = qonnx_support.TARGET.read_text(encoding="utf-8")
    begin, end = f"{qonnx_support.BEGIN}\n", qonnx_support.END
    written = text.split(begin, 1)[1].split(end, 1)[0]
    assert qonnx_support.section() == written, "run: python docs/qonnx_support.py"


def test_no_transformation_and_no_command_is_forgotten() -> None:
    assert set(qonnx_support.ROWS) <= set(qonnx_support.rows())
    assert {"InferShapes", "FoldConstants", "ConvertToChannelsLastAndClean"} <= set(qonnx_support.rows())
    assert set(qonnx_support.command_names()) == set(qonnx_support.COMMANDS)


@pytest.mark.parametrize("name", qonnx_support.files())
def test_shape_inference_states_what_the_file_states(name: str) -> None:
    """From nothing but the input's shape, symbolic batch included; every node is found again."""
    model = qonnx_support.files()[name]
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    inferred = ModelWrapper(bare).transform(InferShapes()).model
    assert {n.name: n.op_type for n in inferred.graph.node} == {n.name: n.op_type for n in model.graph.node}
    got, want = all_values(inferred), all_values(model)
    for node in model.graph.node:
        for tensor in node.output:
            assert tensor_shape(got[tensor]) == tensor_shape(want[tensor]), tensor
            assert got[tensor].type.tensor_type.elem_type == want[tensor].type.tensor_type.elem_type, tensor


@pytest.mark.parametrize("name", qonnx_support.files())
@pytest.mark.parametrize("infer", [False, True])
def test_annotations_hold_every_value(name: str, infer: bool) -> None:
    model = ModelWrapper(with_batch(qonnx_support.files()[name], qonnx_support.EVENTS))
    model = model.transform(InferDataTypes()) if infer else model
    tensors = [n for node in model.graph.node for n in node.output]
    values = run_tensors(qonnx_support.files()[name], {"image": qonnx_support.events()}, tensors)
    for tensor, value in values.items():
        kind = model.get_tensor_datatype(tensor)
        assert all(kind.allowed(v) for v in np.unique(value)), f"{tensor}: {kind}"


def test_qonnx_finds_every_operator_by_its_domain() -> None:
    for name in operators():
        node = onnx.helper.make_node(name, [], [], domain=DOMAIN)
        assert type(getCustomOp(node)) is operators()[name]


@pytest.mark.parametrize("name", qonnx_support.files())
def test_types_are_proven_after_cleanup_too(name: str) -> None:
    """What firmware is made from: cleanup renames and folds, the exact types of the results stay."""
    model = qonnx_support.files()[name]
    with qonnx_support.quiet(model.ir_version):
        clean = cleanup_model(ModelWrapper(model, make_deepcopy=True)).model
    before, after = ([infer_grids(m).grids.get(n.output[0]) for n in m.graph.node] for m in (model, clean))
    described = [sorted(g.describe() for g in grids if g is not None) for grids in (before, after)]
    assert described[0] == described[1] and described[0]


@pytest.mark.csim
def test_firmware_is_the_same_after_cleanup(tmp_path: Path) -> None:
    model = qonnx_support.files()["wide"]
    with qonnx_support.quiet(model.ir_version):
        clean = cleanup_model(ModelWrapper(model, make_deepcopy=True)).model
    write_model(clean, tmp_path / "clean.onnx")
    project = sq.to_hls(tmp_path / "clean.onnx", tmp_path / "firmware")
    project.compile()
    assert np.array_equal(project.predict(qonnx_support.events()), qonnx_support.expected("wide"))


def test_qonnx_finds_them_with_nothing_imported_by_hand(tmp_path: Path) -> None:
    """A process that imports qonnx alone runs the file node by node."""
    write_model(with_batch(qonnx_support.files()["wide"], qonnx_support.EVENTS), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", qonnx_support.events())
    code = (
        "import sys, numpy, onnx\n"
        "from qonnx.core import onnx_exec\n"
        "from qonnx.core.modelwrapper import ModelWrapper\n"
        "assert not any(name.startswith('sparse_qonnx') for name in sys.modules)\n"
        "make = onnx_exec.qonnx_make_model\n"
        "onnx_exec.qonnx_make_model = lambda *a, **k: make(*a, **{'ir_version': 9, **k})\n"
        "result = onnx_exec.execute_onnx(ModelWrapper('m.onnx'), {'image': numpy.load('x.npy')})\n"
        "numpy.save('y.npy', *result.values())\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    assert np.array_equal(np.load(tmp_path / "y.npy"), qonnx_support.expected("wide"))
