"""Operators as small graphs: the cases of their rules' tests, and what each must keep to."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
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

Array = NDArray[Any]
KIND = FixedPointType.parse("ap_fixed<6,3>")
SHAPE = (4, 3, 2)
F32 = np.float32

Body = Callable[[GraphBuilder, str, np.random.Generator], str]
"""Appends nodes that read a tensor `[B, *SHAPE]`; returns the name of a result."""


def assert_limits_hold(body: Body, seed: int) -> None:
    """The proven limits hold every value, and onnxruntime gives what NumPy does."""
    rng = np.random.default_rng(seed)
    graph = GraphBuilder("g")
    x_name = graph.input("x", SHAPE)
    graph.output(body(graph, x_name, rng))
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


def one(op_type: str, *constants: Any, **attributes: Any) -> Body:
    def body(graph: GraphBuilder, x: str, rng: np.random.Generator) -> str:
        names = [graph.constant(f"c{n}", np.asarray(c)) if c is not None else "" for n, c in enumerate(constants)]
        return graph.node(op_type, [x, *names], ["y"], **attributes)[0]

    return body


def concat_with_negated(graph: GraphBuilder, x: str, rng: np.random.Generator) -> str:
    return graph.node("Concat", [x, graph.node("Neg", [x], ["n"])[0]], ["y"], axis=-1)[0]


def second(op_type: str, parts: int, *constants: Any, **attributes: Any) -> Body:
    """The second result of a node that has several."""

    def body(graph: GraphBuilder, x: str, rng: np.random.Generator) -> str:
        names = [graph.constant(f"c{n}", np.asarray(c)) for n, c in enumerate(constants)]
        return graph.node(op_type, [x, *names], [f"y{n}" for n in range(parts)], **attributes)[1]

    return body


def by_element(body: Body) -> Body:
    """The operator on a tensor whose elements all have limits of their own."""

    def on_elements(graph: GraphBuilder, x: str, rng: np.random.Generator) -> str:
        low, high = rng.integers(-16, 0, SHAPE) / 8, rng.integers(0, 16, SHAPE) / 8
        floats = [graph.constant(n, v.astype(np.float32)) for n, v in (("low", low), ("high", high))]
        return body(graph, graph.node("Min", [graph.node("Max", [x, floats[0]], ["m"])[0], floats[1]], ["e"])[0], rng)

    return on_elements


def _of_truth(op_type: str, count: int = 1) -> Body:
    def body(graph: GraphBuilder, x: str, _: np.random.Generator) -> str:
        limit = graph.constant("limit", F32(0.125))
        truths = [graph.node(how, [x, limit], [how.lower()])[0] for how in ("Greater", "LessOrEqual")[:count]]
        return graph.node(op_type, truths, ["y"])[0]

    return body


TRUTHS = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "Not", "And", "Or")
NO_FIRMWARE = (*TRUTHS, "Where", "Sign", "Floor", "MaxPool", "Cast")
"""Operators that are exact in a file and refused in firmware (of Cast some forms)."""


def _moves() -> dict[str, Body]:
    i64 = np.int64
    backwards = one("Slice", i64([3, 0]), i64([-99, 2]), i64([1, 2]), i64([-1, 1]))
    cases = {
        "Transpose": one("Transpose", perm=[0, 3, 1, 2]),
        "Slice": one("Slice", i64([1, 0]), i64([-1, 9]), i64([1, 2]), i64([1, 2])),
        "Slice (backwards)": backwards,
        "Slice (all axes)": one("Slice", i64([0, 1, 0, 1]), i64([2**62, 3, 2, 2])),
        "Gather (axis)": one("Gather", i64([2, 0, 0, -1]), axis=1),
        "Gather (one)": one("Gather", i64(1), axis=2),
        "Gather (table of places)": one("Gather", i64([[1, 0], [2, 2]]), axis=2),
        "Split": second("Split", 2, i64([1, 3]), axis=1),
        "Split (even)": second("Split", 3, axis=2, num_outputs=3),
        "Pad": one("Pad", i64([0, 1, 0, 0, 0, 2, 0, 1])),
        "Pad (constant)": one("Pad", i64([0, 0, 2, 0, 0, 1, 0, 0]), F32(0.03125)),
        "Pad (axes)": one("Pad", i64([1, 0, 2, 1]), F32(-2.5), i64([1, 3])),
        "Pad (reflect)": one("Pad", i64([0, 2, 1, 0, 0, 1, 0, 0]), mode="reflect"),
        "Pad (edge)": one("Pad", i64([0, 2, 1, 0, 0, 1, 0, 0]), mode="edge"),
        "Pad (wrap)": one("Pad", i64([0, 2, 1, 0, 0, 1, 0, 0]), mode="wrap"),
        "Unsqueeze": one("Unsqueeze", i64([1, -1])),
        "Squeeze": lambda g, x, rng: one("Squeeze", i64([1]))(
            g, g.node("Unsqueeze", [x, g.constant("a", i64([1]))], ["u"])[0], rng
        ),
        "Expand": lambda g, x, rng: one("Expand", i64([1, 1, 3, 1, 1]))(
            g, g.node("Unsqueeze", [x, g.constant("a", i64([2]))], ["u"])[0], rng
        ),
        "Tile": one("Tile", i64([1, 2, 1, 3])),
        "Concat": concat_with_negated,
        "Concat (rows)": lambda g, x, _: g.node("Concat", [x, g.node("Neg", [x], ["n"])[0], x], ["y"], axis=1)[0],
        "Abs": one("Abs"),
        "Cast (to truth)": one("Cast", to=TensorProto.BOOL),
        "Cast (to integers)": one("Cast", to=TensorProto.INT64),
        "ReduceMin": one("ReduceMin", i64([1, 2]), keepdims=0),
        "ReduceMax": one("ReduceMax", i64([2]), keepdims=0),
        "ArgMax": one("ArgMax", axis=2, keepdims=0),
        "ArgMax (last)": one("ArgMax", axis=-3, keepdims=1, select_last_index=1),
        "MaxPool": one("MaxPool", kernel_shape=[3, 2], strides=[1, 1], auto_pad="SAME_UPPER"),
        "Greater": one("Greater", F32(0.25)),
        "GreaterOrEqual": one("GreaterOrEqual", F32([[0.25]])),
        "Less": one("Less", F32(0.25)),
        "LessOrEqual": one("LessOrEqual", F32(0.25)),
        "Equal": one("Equal", F32(0)),
        "Not": _of_truth("Not"),
        "And": _of_truth("And", 2),
        "Or": _of_truth("Or", 2),
        "Where": lambda g, x, rng: g.node(
            "Where", [_of_truth("Not")(g, x, rng), x, g.constant("other", F32([[5.03125]]))], ["y"]
        )[0],
        "Sign": one("Sign"),
        "Floor": one("Floor"),
        "ArgMin": one("ArgMin", axis=1, keepdims=1),
    }
    return {**cases, **{f"{name} by element": by_element(body) for name, body in cases.items()}}


MOVES = _moves()
"""Operators that move values, choose among them, or say where they are, in every form."""
