"""Random operator inputs: sparse images, coordinates, formats; edges are always in."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from sparse_qonnx.fixed import OverflowMode, RoundingMode
from sparse_qonnx.ops import operators

Array = NDArray[Any]

float_types = st.sampled_from([np.float32, np.float64])
seeds = st.integers(0, 2**32 - 1)
fills = st.sampled_from([0.0, 0.05, 0.3, 1.0])  # empty event, sparse, crowded, full image
rounding_modes = st.sampled_from([m.value for m in RoundingMode])
overflow_modes = st.sampled_from([m.value for m in OverflowMode])


@st.composite
def images(draw: st.DrawFn, max_channels: int = 3) -> Array:
    """`[B, H, W, C]` on a grid of 1/4, batch 0 to 3."""
    batch, height, width = draw(st.integers(0, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    channels = draw(st.integers(1, max_channels))
    rng = np.random.default_rng(draw(seeds))
    x = rng.integers(-8, 9, (batch, height, width, channels)) / 4
    x *= rng.random((batch, height, width, 1)) < draw(fills)
    if batch and draw(st.booleans()):  # one pixel, in the last corner
        x[0] = 0
        x[0, -1, -1] = 1
    return x.astype(draw(float_types))


@st.composite
def sparse_maps(draw: st.DrawFn) -> tuple[Array, Array, tuple[int, int]]:
    """features `[B, N, C]`, coords `[B, N, 2]`, (H, W); with empty slots between active ones."""
    x = draw(images())
    n = draw(st.sampled_from([1, 3, 8, 100]))
    reduce = operators()["InputReduce"]
    features, coords = reduce.compute(x, n_max_pixels=n, threshold=draw(st.sampled_from([-3.0, 0.0, 0.25])))
    if draw(st.booleans()):
        features, coords = reduce_some(features, coords, draw(seeds))
    return features, coords, (x.shape[1], x.shape[2])


def reduce_some(features: Array, coords: Array, seed: int) -> tuple[Array, Array]:
    """Empty a few slots and let a few kept pixels hold 0: both happen after pooling and after activations."""
    rng = np.random.default_rng(seed)
    empty, dead = (rng.random((*coords.shape[:2], 1)) < 0.3 for _ in range(2))
    return np.where(empty | dead, features.dtype.type(0), features), np.where(empty, 0, coords)
