"""Native kernels given what they cannot take: an error of onnxruntime that names op, shape and value, nothing else."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph, RuntimeException

from native import DOMAIN, QONNX, Array, assert_same, feeds, model, requires_library, run, session, sparse_map
from sparse_qonnx._paths import find_library

pytestmark = requires_library

FEATURES = np.ones((2, 3, 2), np.float32)
COORDS = np.array([[[1, 1], [2, 3], [0, 0]], [[4, 5], [0, 0], [0, 0]]], np.int64)
WEIGHTS = np.ones((4, 2, 3, 3), np.float32)
CONV = {"kernel_shape": [3, 3]}
POOL = {"kernel_shape": [2, 2], "spatial_shape": [4, 5], "mode": "max"}
DENSE = {"spatial_shape": [4, 5]}
MODES = {"rounding_mode": "RND", "overflow_mode": "WRAP"}
QUANT = {"signed": 1, "narrow": 0}
ONE = np.ones((), np.float32)


def coords_with(row: int, column: int) -> Array:
    """The coordinates above, one of them replaced."""
    changed = COORDS.copy()
    changed[1, 2] = row, column
    return changed


def replaced(attributes: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Attributes with some changed, or left out where None is given."""
    return {name: value for name, value in {**attributes, **changed}.items() if value is not None}


WRONG_ATTRIBUTES = [
    ("InputReduce", [FEATURES[None]], {"n_max_pixels": 0, "threshold": 0.0}, "n_max_pixels is 0"),
    ("InputReduce", [FEATURES[None]], {"n_max_pixels": -3, "threshold": 0.0}, "n_max_pixels is -3"),
    ("InputReduce", [FEATURES[None]], {"threshold": 0.0}, "n_max_pixels is missing"),
    ("InputReduce", [FEATURES[None]], {"n_max_pixels": 3}, "threshold is missing"),
    ("SparseConv", [FEATURES, COORDS, WEIGHTS], {}, "kernel_shape needs 2 integers"),
    ("SparseConv", [FEATURES, COORDS, WEIGHTS], {"kernel_shape": [3]}, "kernel_shape needs 2 integers, and has 1"),
    ("SparseConv", [FEATURES, COORDS, WEIGHTS], {**CONV, "group": 0}, "group is 0"),
    ("SparseConv", [FEATURES, COORDS, WEIGHTS], {**CONV, "dilations": [1, 0]}, "dilations holds 0"),
    ("SparseConv", [FEATURES, COORDS, WEIGHTS], {**CONV, "dilations": [1, 2**62]}, "4611686018427387904"),
    ("SparsePool", [FEATURES, COORDS], replaced(POOL, mode="median"), "mode is 'median'"),
    ("SparsePool", [FEATURES, COORDS], replaced(POOL, mode=None), "mode is missing"),
    ("SparsePool", [FEATURES, COORDS], replaced(POOL, kernel_shape=[2, 0]), "kernel_shape holds 0"),
    ("SparsePool", [FEATURES, COORDS], replaced(POOL, kernel_shape=[2**62, 2**62]), "4611686018427387904"),
    ("SparsePool", [FEATURES, COORDS], replaced(POOL, spatial_shape=[2**62, 8]), "4611686018427387904"),
    ("SparseToDense", [FEATURES, COORDS], {"spatial_shape": [4, -5]}, "spatial_shape holds -5"),
    ("FixedPointQuant", [FEATURES, ONE, ONE, ONE], replaced(MODES, rounding_mode="UP"), "rounding_mode is 'UP'"),
    ("FixedPointQuant", [FEATURES, ONE, ONE, ONE], replaced(MODES, overflow_mode="CLIP"), "SAT_SYM"),
    ("Quant", [FEATURES, ONE, ONE, ONE], {**QUANT, "rounding_mode": "NEAR"}, "rounding_mode is 'NEAR'"),
    ("Quant", [FEATURES, ONE, ONE, ONE], {"narrow": 0}, "signed is missing"),
]


def domain_of(op: str) -> str:
    return QONNX if op == "Quant" else DOMAIN


@pytest.mark.parametrize(("op", "inputs", "attributes", "message"), WRONG_ATTRIBUTES)
def test_wrong_attributes_are_refused_at_load(op: str, inputs: Any, attributes: Any, message: str) -> None:
    with pytest.raises((RuntimeException, Fail, InvalidArgument), match=f"{op} node 'the_node'.*{message}"):
        session(model(op, inputs, (), domain_of(op), **attributes))


WRONG_INPUTS = [
    ("InputReduce", [FEATURES], {"n_max_pixels": 3, "threshold": 0.0}, r"\[2, 3, 2\]; 4 dimensions"),
    ("SparseConv", [FEATURES[0], COORDS, WEIGHTS], CONV, r"features has the shape \[3, 2\]"),
    ("SparseConv", [FEATURES, COORDS[:, :2], WEIGHTS], CONV, r"need coords \[2, 3, 2\], and coords are \[2, 2, 2\]"),
    ("SparseConv", [FEATURES, COORDS[:1], WEIGHTS], CONV, r"coords are \[1, 3, 2\]"),
    ("SparseConv", [FEATURES, COORDS, WEIGHTS[..., :2]], CONV, r"W \[4, 2, 3, 2\] does not have"),
    ("SparseConv", [FEATURES, COORDS, WEIGHTS[:, :1]], CONV, r"W \[4, 1, 3, 3\] with group 1 takes 1 channels"),
    ("SparseConv", [FEATURES, COORDS, WEIGHTS[:3]], {**CONV, "group": 2}, "cannot be split into 2 groups"),
    ("SparseConv", [FEATURES, COORDS, WEIGHTS[:, 0]], CONV, r"W has the shape \[4, 3, 3\]"),
    ("SparseConv", [FEATURES, COORDS, WEIGHTS, np.ones(3, np.float32)], CONV, r"bias \[3\] does not fit"),
    ("SparseConv", [FEATURES, COORDS, WEIGHTS[:0]], CONV, r"W \[0, 2, 3, 3\]"),
    ("SparsePool", [FEATURES, coords_with(5, 1)], POOL, r"coords\[1, 2\] = \(5, 1\) lies outside .* 4 x 5"),
    ("SparsePool", [FEATURES, coords_with(0, 1)], POOL, r"coords\[1, 2\] = \(0, 1\)"),
    ("SparseToDense", [FEATURES, coords_with(1, 6)], DENSE, r"coords\[1, 2\] = \(1, 6\)"),
    ("SparseToDense", [FEATURES, coords_with(-1, 1)], DENSE, r"coords\[1, 2\] = \(-1, 1\)"),
    ("SparseToDense", [FEATURES, coords_with(-(2**63), 2**63 - 1)], DENSE, r"-9223372036854775808"),
    ("SparseToDense", [FEATURES, COORDS], {"spatial_shape": [2**31, 2**31]}, "more elements than memory can hold"),
    ("FixedPointQuant", [FEATURES, np.ones(3, np.float32), ONE, ONE], MODES, "do not broadcast"),
    ("FixedPointQuant", [ONE, np.ones(3, np.float32), ONE, ONE], MODES, r"do not broadcast to x \[\]"),
    ("FixedPointQuant", [FEATURES, ONE, np.ones((0, 2), np.float32), ONE], MODES, r"\[0, 2\]; none may be empty"),
    ("FixedPointQuant", [FEATURES, ONE, np.ones((4, 5, 3), np.float32), ONE, COORDS], MODES, "do not fit 2 channels"),
    ("FixedPointQuant", [FEATURES, ONE, np.ones((1, 4, 5, 2), np.float32), ONE, COORDS], MODES, r"\[H, W, C\]"),
    ("FixedPointQuant", [FEATURES, ONE, np.ones((4, 5, 1), np.float32), ONE, coords_with(4, 6)], MODES, r"\(4, 6\)"),
    ("FixedPointQuant", [FEATURES, ONE, np.ones((4, 1, 1), np.float32), ONE, coords_with(4, -6)], MODES, r"\(4, -6\)"),
    ("FixedPointQuant", [FEATURES[0], ONE, ONE, ONE, COORDS], MODES, r"features has the shape \[3, 2\]"),
    ("Quant", [FEATURES, np.ones(3, np.float32), ONE, ONE], QUANT, r"scale \[3\]|do not broadcast"),
    ("Quant", [FEATURES, ONE, ONE, np.ones(2, np.float32)], QUANT, r"bit width has the shape \[2\]"),
    ("Quant", [np.ones((1,) * 9, np.float32), ONE, ONE, ONE], QUANT, "9 dimensions"),
]


@pytest.mark.parametrize(("op", "inputs", "attributes", "message"), WRONG_INPUTS)
@pytest.mark.parametrize("constant", [False, True])
def test_wrong_inputs_are_refused(op: str, inputs: Any, attributes: Any, message: str, constant: bool) -> None:
    parameters = range(1 if op.endswith("Quant") else 2, len(inputs)) if constant else ()
    with pytest.raises((RuntimeException, Fail, InvalidArgument), match=f"{op} node 'the_node'.*(?:{message})"):
        run(op, inputs, list(parameters), domain=domain_of(op), **attributes)


def test_more_elements_than_memory_can_hold() -> None:
    """A batch without pixels costs nothing to make, and its output could not be addressed."""
    x = np.zeros((2**58, 0, 1, 1), np.float32)
    with pytest.raises(InvalidArgument, match="more elements than memory can hold"):
        run("InputReduce", [x], n_max_pixels=2**10, threshold=0.0)


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="AddressSanitizer's allocator aborts instead of throwing")
def test_memory_that_cannot_be_had() -> None:
    x = np.zeros((1, 1, 1, 1), np.float32)
    with pytest.raises((InvalidArgument, RuntimeException, Fail), match=r"(?i)alloc|memory"):
        run("InputReduce", [x], n_max_pixels=2**52, threshold=0.0)


@pytest.mark.parametrize("op", ["SparseConv", "FixedPointQuant"])
def test_wrong_type(op: str) -> None:
    inputs: list[Array] = [FEATURES, COORDS.astype(np.float32), WEIGHTS]
    attributes: dict[str, Any] = CONV
    if op == "FixedPointQuant":
        inputs, attributes = [FEATURES, ONE.astype(np.float64), ONE, ONE], MODES
    with pytest.raises((Fail, InvalidArgument, InvalidGraph, RuntimeException), match=op):
        run(op, inputs, **attributes)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_do_not_depend_on_threads(threads: int) -> None:
    rng = np.random.default_rng(7)
    features, coords = sparse_map(rng, 700, 40, (30, 30), 2, np.float32, raster=False)
    bits = [np.full((30, 30, 1), value, np.float32) for value in (1, 2, 2)]
    calls: list[tuple[str, list[Array], dict[str, Any]]] = [
        ("SparseConv", [features, coords, WEIGHTS], CONV),
        ("SparsePool", [features, coords], replaced(POOL, spatial_shape=[30, 30])),
        ("SparseToDense", [features, coords], {"spatial_shape": [30, 30]}),
        ("FixedPointQuant", [features, *bits, coords], MODES),
        ("FixedPointQuant", [features, ONE, ONE, ONE], MODES),
        ("InputReduce", [rng.random((300, 20, 20, 1), np.float32)], {"n_max_pixels": 30, "threshold": 0.9}),
    ]
    for op, inputs, attributes in calls:
        assert_same(run(op, inputs, threads=threads, **attributes), run(op, inputs, **attributes))


@pytest.mark.parametrize("threads", [1, 4])
def test_the_first_bad_event_is_named(threads: int) -> None:
    coords = np.ones((5000, 1, 2), np.int64)
    coords[[17, 18, 4000], 0, 0] = 9
    with pytest.raises(InvalidArgument, match=r"coords\[17, 0\] = \(9, 1\)"):
        run("SparseToDense", [np.ones((5000, 1, 1), np.float32), coords], threads=threads, **DENSE)


def test_two_sessions_in_eight_threads() -> None:
    rng = np.random.default_rng(11)
    small, large = (sparse_map(rng, batch, 60, (20, 20), 2, np.float32, raster=True) for batch in (3, 400))
    sessions = [session(model("SparseConv", [*small, WEIGHTS], constant, **CONV), 2) for constant in ((), (2,))]
    expected = {len(x): run("SparseConv", [*x, WEIGHTS], **CONV) for x in map(list, (small, large))}
    assert len(expected) == 1

    def work(job: int) -> None:
        inputs = [*(small if job % 3 else large), WEIGHTS]
        wanted = run("SparseConv", inputs, **CONV)
        ready = sessions[job % 2]
        for _ in range(5):
            assert_same(ready.run(None, feeds(inputs, (2,) if job % 2 else ())), wanted)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))


def test_a_registered_kernel_takes_precedence_over_the_function_of_the_file() -> None:
    """The file never changes: its function body runs where the library is not registered."""
    nodes = [helper.make_node("Shape", ["X"], ["c"]), helper.make_node("Identity", ["X"], ["f"])]
    opsets, attributes = [helper.make_opsetid("", 19)], ["n_max_pixels", "threshold"]
    body = helper.make_function(DOMAIN, "InputReduce", ["X"], ["f", "c"], nodes, opsets, attributes)
    with_body = onnx.load_from_string(model("InputReduce", [FEATURES[None]], n_max_pixels=2, threshold=0.0))
    with_body.functions.append(body)
    content = with_body.SerializeToString()
    x = {"input0": FEATURES[None]}
    stock = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert stock.run(None, x)[1].tolist() == [1, 2, 3, 2]
    assert session(content).run(None, x)[1].tolist() == [[[1, 1], [1, 2]]]


def test_library_may_be_registered_again_and_outlive_its_options() -> None:
    inputs = [FEATURES, COORDS]
    sessions = [session(model("SparseToDense", inputs, **DENSE)) for _ in range(3)]
    results = [ready.run(None, feeds(inputs)) for ready in sessions]
    assert_same(results[0], results[2])


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="the sanitizers' own symbols are in the way")
def test_library_needs_nothing_of_onnxruntime_and_exports_one_function() -> None:
    library = str(find_library())
    symbols = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    ours = [line.split()[-1] for line in symbols.splitlines() if "sparse_qonnx" in line or "Register" in line]
    assert ours == ["RegisterCustomOps"]
    needed = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
    assert "onnxruntime" not in needed
