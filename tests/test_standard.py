"""Rules of standard operators: the proven limits hold every value that the operator gives, on the proven grid."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto

from harness import KERNELS
from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.grid import Grid
from sparse_qonnx.passes.attach_functions import attach_functions
from sparse_qonnx.passes.infer_grids import infer_grids
from sparse_qonnx.passes.input_precision import state_input_precision
from sparse_qonnx.reference import run_reference
from sparse_qonnx.runtime import run_tensors
from sparse_qonnx.standard import standard_operators

Array = NDArray[Any]
KIND = FixedPointType.parse("ap_fixed<6,3>")
SHAPE = (4, 3, 2)

Body = Callable[[GraphBuilder, str, np.random.Generator], str]


def one(op_type: str, *constants: Any, **attributes: Any) -> Body:
    def body(graph: GraphBuilder, x: str, rng: np.random.Generator) -> str:
        names = [graph.constant(f"c{n}", np.asarray(c)) if c is not None else "" for n, c in enumerate(constants)]
        return graph.node(op_type, [x, *names], ["y"], **attributes)[0]

    return body


def weights(shape: tuple[int, ...]) -> Callable[[GraphBuilder, np.random.Generator], str]:
    return lambda graph, rng: graph.quantized_constant("w", (rng.integers(-8, 8, shape) / 8).astype(np.float32))


def with_weights(op_type: str, shape: tuple[int, ...], **attributes: Any) -> Body:
    return lambda graph, x, rng: graph.node(op_type, [x, weights(shape)(graph, rng)], ["y"], **attributes)[0]


def both(op_type: str) -> Body:
    """x combined with a rectified x, on a finer grid."""

    def body(graph: GraphBuilder, x: str, rng: np.random.Generator) -> str:
        (half,) = graph.node("Mul", [x, graph.constant("half", np.float32([0.25]))], ["half_x"])
        return graph.node(op_type, [x, graph.node("Relu", [half], ["r"])[0]], ["y"])[0]

    return body


def concat_with_negated(graph: GraphBuilder, x: str, rng: np.random.Generator) -> str:
    return graph.node("Concat", [x, graph.node("Neg", [x], ["n"])[0]], ["y"], axis=-1)[0]


F32 = np.float32
CASES: dict[str, Body] = {
    "Relu": one("Relu"),
    "Identity": one("Identity"),
    "Neg": one("Neg"),
    "Clip": one("Clip", F32(-0.5), F32(1.25)),
    "Clip (max only)": one("Clip", None, F32(0.0625)),
    "LeakyRelu": one("LeakyRelu", alpha=0.125),
    "ThresholdedRelu": one("ThresholdedRelu", alpha=0.3),
    "ThresholdedRelu (negative)": one("ThresholdedRelu", alpha=-1.3),
    "Mul": one("Mul", np.float32([0.75, -2.0])),
    "Add": one("Add", np.float32([0.0625, -2.0])),
    "Sub": one("Sub", np.float32([0.0625, -2.0])),
    "Flatten": one("Flatten"),
    "Reshape": one("Reshape", np.array([0, 2, -1])),
    "Transpose": one("Transpose", perm=[0, 3, 1, 2]),
    "ReduceMax": one("ReduceMax", np.array([1, 2]), keepdims=0),
    "ReduceSum": one("ReduceSum", np.array([1, 2]), keepdims=1),
    "ReduceMean": one("ReduceMean", np.array([1, 2]), keepdims=0),
    "MatMul": with_weights("MatMul", (2, 5)),
    "Conv": lambda g, x, rng: with_weights("Conv", (4, 1, 3, 3), group=2, pads=[1, 1, 1, 1], kernel_shape=[3, 3])(
        g, g.node("Transpose", [x], ["x_t"], perm=[0, 3, 1, 2])[0], rng
    ),
    "Max": both("Max"),
    "Min": both("Min"),
    "Mul of two": both("Mul"),
    "Add of two": both("Add"),
    "Concat": concat_with_negated,
}


@pytest.mark.parametrize("case", CASES)
@given(seed=st.integers(0, 2**32 - 1))
def test_limits_hold_every_value(case: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = GraphBuilder("g")
    x_name = graph.input("x", SHAPE)
    graph.output(CASES[case](graph, x_name, rng))
    model = attach_functions(state_input_precision(graph.build(), str(KIND)))
    y_name = model.graph.output[0].name
    grid = infer_grids(model).grids[y_name]
    assert grid is not None
    x = (rng.integers(KIND.lowest, KIND.highest + 1, (6, *SHAPE)) * 2.0**-KIND.frac).astype(np.float32)
    x[0], x[1] = KIND.lowest * 2.0**-KIND.frac, KIND.highest * 2.0**-KIND.frac
    y = run_reference(model, {"x": x})[y_name]
    for kernels in KERNELS:
        assert np.array_equal(run_tensors(model, {"x": x}, kernels=kernels)[y_name], y), kernels
    assert_within(y, grid)


def assert_within(y: Array, grid: Grid) -> None:
    lo, hi = (np.broadcast_to(a, y.shape[1:]) for a in (grid.lo, grid.hi))
    unit = Fraction(1, grid.divisor) / Fraction(2) ** grid.frac
    for index in np.ndindex(*y.shape):
        steps = Fraction(float(y[index])) / unit
        whole = round(steps) if grid.divisor != 1 else steps
        assert Fraction(whole).denominator == 1, f"{y[index]} is not on the grid {grid.describe()}"
        assert lo[index[1:]] <= whole <= hi[index[1:]]


def test_every_rule_is_tried() -> None:
    heads = {"Softmax", "Sigmoid"}  # give no grid
    elsewhere = {"Cast", "Quant", "Gather", "Slice"}  # test_passes.py, test_fuzz_regressions.py
    tried = {case.split(" ")[0] for case in CASES}
    assert {name for _, name in standard_operators()} == tried | heads | elsewhere


@pytest.mark.parametrize(
    ("target", "precision", "is_known"),
    [
        (TensorProto.DOUBLE, "ap_fixed<6,3>", True),
        (TensorProto.INT64, "ap_fixed<6,6>", True),
        (TensorProto.INT64, "ap_fixed<6,8>", True),
        (TensorProto.INT32, "ap_fixed<40,40>", False),
        (TensorProto.INT64, "ap_fixed<6,3>", False),
        (TensorProto.INT8, "ap_fixed<6,6>", False),
        (TensorProto.FLOAT16, "ap_fixed<6,3>", False),
    ],
)
def test_a_cast_keeps_the_grid_only_where_it_keeps_the_values(target: int, precision: str, is_known: bool) -> None:
    graph = GraphBuilder("cast")
    graph.output(graph.node("Cast", [graph.input("x", [3])], ["y"], to=target)[0])
    assert (infer_grids(state_input_precision(graph.build(), precision)).grids["y"] is not None) == is_known
