"""What training leaves behind, drawn at random: weights, bit widths, budgets; and random events.

Imports NumPy and Keras only: the source of this file is copied into the scripts that rebuild a failing model.
"""

from __future__ import annotations

import keras
import numpy as np


class Function:
    """A function of keras.ops, called as a layer is."""

    def __init__(self, text, name):
        self.compute = eval(f"lambda x: {text}", {"ops": keras.ops})
        self.name = name

    def __call__(self, x):
        return self.compute(x)


def set_weights(layer, seed, scale, step, zeros=0.0):
    """Kernels, biases and statistics: normally distributed, on multiples of `step` (0: anywhere), some exactly 0."""
    rng = np.random.default_rng(seed)
    names = ("kernel", "bias", "sparse_bias", "gamma", "moving_mean", "moving_variance", "bn_gamma", "bn_beta")
    for variable in layer.weights:
        name = variable.path.rsplit("/", 1)[-1]
        if name not in names or not variable.shape:
            continue
        value = rng.normal(0.0, scale, variable.shape)
        value = np.round(value / step) * step if step else value
        value *= rng.random(variable.shape) >= zeros
        value = np.abs(value) + 0.125 if name == "moving_variance" else value
        variable.assign(value.astype(np.float32))


def set_widths(quantizer, seed, signed, integer, fractional, dead=0.0):
    """Trained bit widths: real numbers that the quantizer rounds; `dead` is the share of elements of width 0.

    `signed` is the share of elements that keep negative values, `integer` and `fractional` are ranges of bits.
    """
    rng = np.random.default_rng(seed)
    inner = quantizer.quantizer
    if not hasattr(inner, "_k"):
        return  # a quantizer of type "dummy"
    shape = tuple(inner._k.shape)
    k = (rng.random(shape) < signed).astype(np.float32)
    i, f = (rng.integers(lo, hi + 1, shape).astype(np.float32) for lo, hi in (integer, fractional))
    off = rng.random(shape) < dead
    k, i = np.where(off, 0, k), np.where(off, -f, i)
    jitter = rng.choice([0.0, 0.4, -0.4], (2, *shape)).astype(np.float32)
    inner._k.assign(k)
    inner._i.assign(i + jitter[0])
    if hasattr(inner, "_b"):
        inner._b.assign(np.maximum(i + f, 0) + jitter[1])
    else:
        inner._f.assign(f + jitter[1])


def set_reduction(layer, budget, threshold):
    """The learned budget (pixels, before rounding) and threshold of an InputReduce."""
    if layer.learn_n:
        layer.n_frac.assign(np.float32(budget / layer.n_init))
    if layer.learn_threshold:
        layer.threshold_w.assign(np.float32(threshold))


def freeze(model):
    """Replace learned reductions by the fixed ones they are at inference, whose keep mask is exactly 0 or 1."""
    for layer in model._flatten_layers():
        if type(layer).__name__ != "InputReduce":
            continue
        kind = np.dtype(layer.compute_dtype).type
        if layer.learn_n:
            layer.n_init = int(np.round(np.float32(layer.n_init) * np.asarray(layer.n_frac, dtype=np.float32)))
        if layer.learn_threshold:
            layer.threshold_init = float(kind(np.asarray(layer.threshold_w)))
        layer.learn_n = layer.learn_threshold = False


def random_events(shape, seed, lowest, highest, frac, near=()):
    """Events `[B, *shape]` on multiples of 2**-frac between lowest and highest (integers), edge cases first.

    Empty, full of the largest value, of the smallest, one pixel in the first and in the last place; then at every
    density, small values and large ones, some with many values next to the thresholds `near`.
    """
    rng = np.random.default_rng(seed)
    step = 2.0**-frac
    x = np.zeros((16, *shape))
    x[1], x[2] = highest, lowest
    x[(3, *(0,) * len(shape[:2]))] = highest or lowest
    x[(4, *(-1,) * len(shape[:2]))] = min(highest, 1)
    for event, density in enumerate((0.03, 0.1, 0.2, 0.3, 0.5, 0.5, 0.7, 1.0, 0.2, 0.4, 0.8), start=5):
        reach = (lowest, highest) if event % 2 else (max(lowest, -4), min(highest, 4))
        values = rng.integers(reach[0], reach[1] + 1, shape).astype(np.float64)
        for threshold in near:
            tie = np.clip(np.floor(threshold / step) + rng.integers(-1, 2, shape), lowest, highest)
            values = np.where(rng.random(shape) < 0.2, tie, values)
        x[event] = values * (rng.random((*shape[:2], 1) if len(shape) > 2 else shape) < density)
    return (x * step).astype(np.float32)


def float_model(build, dtype):
    """The model built in another floating-point type; Keras's settings are restored afterwards."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        return build()
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
