"""What random networks have brought to light, each reduced to its smallest form."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from harness import assert_same_everywhere


@pytest.mark.parametrize("values", sorted(permutations([np.nan, 1.0, -np.inf])), ids=str)
def test_nan_in_a_max_pool_wins_wherever_it_stands(values: tuple[float, ...]) -> None:
    """onnxruntime's ScatterElements keeps or drops NaN by its place."""
    features = np.array(values, dtype=np.float32).reshape(1, 3, 1)
    coords = np.array([[[1, 1], [1, 2], [1, 3]]], dtype=np.int64)
    for window in ([1, 2], [1, 3]):
        attributes = {"mode": "max", "kernel_shape": window, "spatial_shape": [1, 3]}
        assert_same_everywhere("SparsePool", [features, coords], **attributes)
