"""Rules of standard operators: the proven limits hold every value that the operator gives, on the proven grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from operators import F32, MOVES, Body, assert_limits_hold, concat_with_negated, one
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.passes.infer_grids import infer_grids
from sparse_qonnx.passes.input_precision import state_input_precision
from sparse_qonnx.standard import standard_operators


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


CASES: dict[str, Body] = {
    "Relu": one("Relu"),
    "Identity": one("Identity"),
    "Neg": one("Neg"),
    "Div (a number)": one("Div", F32(12)),
    "Div (powers of two)": one("Div", np.array([0.5, -4], F32)),
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
    "Abs": one("Abs"),
    "ArgMax": one("ArgMax", axis=2, keepdims=0),
    "Concat": concat_with_negated,
}


@pytest.mark.parametrize("case", CASES)
@given(seed=st.integers(0, 2**32 - 1))
def test_limits_hold_every_value(case: str, seed: int) -> None:
    assert_limits_hold(CASES[case], seed)


def test_every_rule_is_tried() -> None:
    heads = {"Softmax", "Sigmoid"}  # give no grid
    elsewhere = {"Cast", "Quant"}  # test_passes.py, test_fuzz_regressions.py
    elsewhere |= {"AveragePool", "GlobalAveragePool"}  # test_averages.py
    tried = {case.split(" ")[0] for case in CASES}
    moved = {case.split(" ")[0] for case in MOVES}
    assert {name for _, name in standard_operators()} == tried | moved | heads | elsewhere


@pytest.mark.parametrize(
    ("target", "precision", "is_known"),
    [
        (TensorProto.DOUBLE, "ap_fixed<6,3>", True),
        (TensorProto.INT64, "ap_fixed<6,6>", True),
        (TensorProto.INT64, "ap_fixed<6,8>", True),
        (TensorProto.INT32, "ap_fixed<40,40>", False),
        (TensorProto.INT64, "ap_fixed<6,3>", True),
        (TensorProto.INT8, "ap_fixed<6,6>", False),
        (TensorProto.FLOAT16, "ap_fixed<6,3>", False),
    ],
)
def test_a_cast_has_a_grid_where_the_type_holds_the_values(target: int, precision: str, is_known: bool) -> None:
    graph = GraphBuilder("cast")
    graph.output(graph.node("Cast", [graph.input("x", [3])], ["y"], to=target)[0])
    assert (infer_grids(state_input_precision(graph.build(), precision)).grids["y"] is not None) == is_known
