"""The C++ example, where onnxruntime's headers and library are: `ONNXRUNTIME_HOME=folder`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from sparse_qonnx._paths import find_library
from sparse_qonnx.passes import finalize

HOME = Path(os.environ.get("ONNXRUNTIME_HOME", "nowhere"))
NEEDS = pytest.mark.skipif(
    not (HOME / "include" / "onnxruntime_cxx_api.h").is_file() or shutil.which("g++") is None,
    reason="set ONNXRUNTIME_HOME to a release of onnxruntime with include/ and lib/",
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Six pixels of an image of 5 x 5, and a convolution."""
    path = tmp_path / "model.onnx"
    image = helper.make_tensor_value_info("image", 1, ["batch", 5, 5, 1])
    y = helper.make_tensor_value_info("y", 1, ["batch", 6, 2])
    between = [
        helper.make_tensor_value_info("f", 1, ["batch", 6, 1]),
        helper.make_tensor_value_info("c", 7, ["batch", 6, 2]),
    ]
    nodes = [
        helper.make_node(
            "InputReduce", ["image"], ["f", "c"], "reduce", domain="sparse_qonnx.ops", n_max_pixels=6, threshold=0.0
        ),
        helper.make_node("SparseConv", ["f", "c", "W"], ["y"], "conv", domain="sparse_qonnx.ops", kernel_shape=[3, 3]),
    ]
    weights = numpy_helper.from_array(np.arange(-9, 9, dtype=np.float32).reshape(2, 1, 3, 3) / 4, "W")
    graph = helper.make_graph(nodes, "small", [image], [y], [weights], value_info=between)
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid("sparse_qonnx.ops", 1)]
    path.write_bytes(finalize(helper.make_model(graph, opset_imports=opsets), "ap_ufixed<8,0>").SerializeToString())
    return path


@NEEDS
@pytest.mark.parametrize("kernels", ["function", "native"])
def test_same_values_as_python(repository: Path, tmp_path: Path, model: Path, kernels: str) -> None:
    program = tmp_path / "run"
    source = repository / "examples" / "cpp" / "run.cc"
    compile_it = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-isystem", str(HOME / "include"), str(source)]
    link = ["-L", str(HOME / "lib"), "-lonnxruntime", f"-Wl,-rpath,{HOME / 'lib'}", "-o", str(program)]
    subprocess.run([*compile_it, *link], check=True)
    library = find_library()
    if kernels == "native" and library is None:
        pytest.skip("native kernels were not built")
    done = subprocess.run(
        [program, model, *([library] if kernels == "native" else [])], check=True, capture_output=True, text=True
    )
    x = np.zeros((1, 5, 5, 1), np.float32)
    for row, column in ((1, 2), (2, 2), (2, 3)):
        x[0, row, column] = 0.75
    want = onnxruntime.InferenceSession(model).run(None, {"image": x})[0]
    assert np.array_equal(np.array(done.stdout.split(), np.float32), want.reshape(-1))
    assert np.any(want)
