"""What random networks have brought to light, each reduced to its smallest form."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from harness import assert_same_everywhere
from sparse_qonnx.fixed import OverflowMode, RoundingMode, quantize
from sparse_qonnx.grid import Grid, NodeContext, quantized_limits
from sparse_qonnx.standard.gather import Gather
from sparse_qonnx.standard.reduce_mean import ReduceMean
from sparse_qonnx.standard.reduce_sum import ReduceSum


@pytest.mark.parametrize("values", sorted(permutations([np.nan, 1.0, -np.inf])), ids=str)
def test_nan_in_a_max_pool_wins_wherever_it_stands(values: tuple[float, ...]) -> None:
    """onnxruntime's ScatterElements keeps or drops NaN by its place."""
    features = np.array(values, dtype=np.float32).reshape(1, 3, 1)
    coords = np.array([[[1, 1], [1, 2], [1, 3]]], dtype=np.int64)
    for window in ([1, 2], [1, 3]):
        attributes = {"mode": "max", "kernel_shape": window, "spatial_shape": [1, 3]}
        assert_same_everywhere("SparsePool", [features, coords], **attributes)


@pytest.mark.parametrize("rounding", [RoundingMode.RND, RoundingMode.RND_CONV])
@pytest.mark.parametrize("form", [(0, 0, 1), (0, 1, 1), (0, 2, 1), (0, -1, 3), (1, 0, 0), (1, 1, 1), (1, 2, 0)])
def test_limits_of_wrap_sm_hold_every_value(form: tuple[int, int, int], rounding: RoundingMode) -> None:
    """HGQ2's WRAP_SM without a sign reflects the upper half of its own range to negative values."""
    k, i, f = form
    steps = np.arange(-40, 41)
    x = steps * 2.0 ** -(f + 2)
    y = quantize(x, np.array(k), np.array(i), np.array(f), rounding, OverflowMode.WRAP_SM) * 2.0**f
    for a in range(len(x)):
        for b in range(a, len(x)):
            low, high = quantized_limits((Fraction(x[a]), Fraction(x[b])), k, i, f, rounding, OverflowMode.WRAP_SM)
            assert low <= y[a : b + 1].min() and y[a : b + 1].max() <= high, (form, x[a], x[b])


@pytest.mark.parametrize("rule", [ReduceSum, ReduceMean])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_reductions_of_a_vector_are_proven(rule: type[ReduceSum | ReduceMean], keepdims: int) -> None:
    grid = Grid(np.array([-1, 0, 0], dtype=object), np.array([1, 2, 3], dtype=object), 0)
    shapes, constants = (("batch", 3), (1,)), (None, np.array([1]))
    proof = rule.prove(NodeContext("n", rule.__name__, {"keepdims": keepdims}, shapes, (grid, None), constants))
    assert proof.outputs[0] is not None
    assert (proof.outputs[0].lowest, proof.outputs[0].highest) == (-1, 6)


def test_a_table_that_a_quant_gives_is_proven() -> None:
    """The table of a QUnaryFunctionLUT is written as initializer -> Quant -> Gather."""
    table = Grid.of_constant(np.array([0.0, 0.25, -1.0]))
    shapes = ((3,), ("batch", 2))
    proof = Gather.prove(NodeContext("n", "Gather", {}, shapes, (table, None), (None, None), (("batch", 2),)))
    assert proof.outputs[0] is not None
    assert (proof.outputs[0].lowest, proof.outputs[0].highest, proof.outputs[0].frac) == (-4, 1, 2)
