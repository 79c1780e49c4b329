"""Handwritten digits on an almost empty canvas: the 8x8 images that scikit-learn bundles, placed at random on 32x32."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

CANVAS = 32
DIGIT = 8
LEVELS = 16  # a pixel is k / 16 with k = 0 … 16: exactly an ap_ufixed<5,1>


def place(
    images: NDArray[np.float32], count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """`count` canvases `[count, 32, 32, 1]` with one digit each, and which of `images` it is."""
    which = rng.integers(len(images), size=count)
    rows, columns = rng.integers(CANVAS - DIGIT + 1, size=(2, count))
    canvases = np.zeros((count, CANVAS, CANVAS, 1), np.float32)
    for canvas, image, row, column in zip(canvases, images[which], rows, columns, strict=True):
        canvas[row : row + DIGIT, column : column + DIGIT, 0] = image
    return canvases, which


def load(training: int = 25_600, test: int = 1_000, seed: int = 0) -> tuple[NDArray[np.float32], ...]:
    """Training and test sets from different handwritings: `x_train, y_train, x_test, y_test`."""
    digits = load_digits()
    images = (digits.images / LEVELS).astype(np.float32)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    sets: list[NDArray[np.float32]] = []
    for part, count in ((order[:1400], training), (order[1400:], test)):
        x, which = place(images[part], count, rng)
        sets += [x, digits.target[part][which]]
    return tuple(sets)
