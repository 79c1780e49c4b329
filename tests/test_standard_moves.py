"""Rules of operators that move values: limits follow each element; where events are moved, nothing is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from operators import MOVES, SHAPE, Body, assert_limits_hold, one
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.passes.infer_grids import infer_grids
from sparse_qonnx.passes.input_precision import state_input_precision
from sparse_qonnx.reference import run_reference
from sparse_qonnx.runtime import run_tensors

i64 = np.int64


@pytest.mark.parametrize("case", MOVES)
def test_limits_hold_every_value(case: str) -> None:
    assert_limits_hold(MOVES[case], seed=1)


POOLS: list[dict[str, Any]] = [
    {"kernel_shape": [3, 2], "strides": [1, 1], "pads": [1, 0, 1, 1]},
    {"kernel_shape": [2, 2], "strides": [1, 1], "pads": [0, 0, 1, 1]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [0, 1, 1, 0], "dilations": [2, 1]},
    {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1, "pads": [1, 1, 1, 1]},
    {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "VALID"},
    {"kernel_shape": [2, 3]},
]


@pytest.mark.parametrize("case", range(len(POOLS)))
def test_windows_of_every_kind_are_those_of_onnxruntime(case: int) -> None:
    graph = GraphBuilder("g")
    graph.output(graph.node("MaxPool", [graph.input("x", (3, 7, 6))], ["y"], **POOLS[case])[0])
    x = np.random.default_rng(case).integers(-99, 0, (2, 3, 7, 6)).astype(np.float32)
    y = run_reference(graph.build(), {"x": x})["y"]
    assert np.array_equal(run_tensors(graph.build(), {"x": x}, ["y"])["y"], y)


MIXED = {
    "slice of events": one("Slice", i64([0]), i64([2]), i64([0])),
    "transposed events": one("Transpose", perm=[1, 0, 2, 3]),
    "events picked": one("Gather", i64([0, 0]), axis=0),
    "events cut in two": lambda g, x, _: g.node("Split", [x, g.constant("s", i64([1, 1]))], ["y", "z"], axis=0)[0],
    "events padded": one("Pad", i64([1, 0, 0, 0, 0, 0, 0, 0])),
    "more events": one("Tile", i64([2, 1, 1, 1])),
    "events joined": lambda g, x, _: g.node("Concat", [x, x], ["y"], axis=0)[0],
    "largest event": one("ArgMax", axis=0),
    "another axis of events": one("Unsqueeze", i64([0])),
}


@pytest.mark.parametrize("case", MIXED)
def test_nothing_is_known_of_what_mixes_events(case: str) -> None:
    graph = GraphBuilder("g")
    body: Body = MIXED[case]
    graph.output(body(graph, graph.input("x", SHAPE), np.random.default_rng(0)))
    model = state_input_precision(graph.build(), "ap_fixed<6,3>")
    assert infer_grids(model).grids[model.graph.output[0].name] is None
