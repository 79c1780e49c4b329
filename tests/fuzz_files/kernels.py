"""The native kernels with arguments that no checked file has: any coordinates, any attributes, any shapes, NaN."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    NotImplemented,  # noqa: A004
    RuntimeException,
)

from native import DOMAIN, QONNX, run

Array = NDArray[Any]

ERRORS = (Fail, InvalidArgument, InvalidGraph, NotImplemented, RuntimeException)
SIZES = (0, 1, 1, 2, 2, 3, 4, 5, 8, 9, 17, 64, 65)
EXTREMES = (0, 1, -1, 2, 3, 2**15, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63))
SPECIAL = (np.nan, np.inf, -np.inf, -0.0, 0.5, 1e30, -1e30, 1e-40, 3e38)


def kernel_case(rng: random.Random) -> str:
    """One node of random kind; what onnxruntime refuses is refused."""
    op, inputs, attributes = rng.choice(KERNELS)(rng)
    constant = [n for n in range(1, len(inputs)) if inputs[n] is not None and rng.random() < 0.4]
    domain = QONNX if op == "Quant" else "sparse_qonnx.ops.fused" if op in FUSED else DOMAIN
    try:
        run(FUSED.get(op, op), inputs, constant, threads=rng.choice((1, 1, 2)), domain=domain, **attributes)
    except ERRORS:
        return "refused"
    return "ok"


FUSED = {"FusedSparseConv": "SparseConv", "SparseDense": "SparseDense"}


def size(rng: random.Random) -> int:
    return rng.choice(SIZES)


def values(rng: random.Random, *dims: int, dtype: Any = np.float32) -> Array:
    made = np.array([rng.randrange(-8, 9) / 4 for _ in range(64)], dtype)
    array = np.resize(made, dims).astype(dtype)
    if array.size and rng.random() < 0.3:
        flat = array.reshape(-1)
        for _ in range(rng.choice((1, 4))):
            flat[rng.randrange(flat.size)] = rng.choice(SPECIAL)
    return array


def coordinates(rng: random.Random, batch: int, slots: int, height: int, width: int) -> Array:
    """Mostly pixels of the image in any order, doubled ones too; sometimes anything at all."""
    found = np.zeros((batch, slots, 2), np.int64)
    for pair in found.reshape(-1, 2):
        if rng.random() < 0.8:
            pair[:] = rng.randint(1, max(height, 1)), rng.randint(1, max(width, 1))
    if found.size and rng.random() < 0.4:
        found.reshape(-1)[rng.randrange(found.size)] = rng.choice(EXTREMES)
    return found


def spoiled(rng: random.Random, attributes: dict[str, Any]) -> dict[str, Any]:
    """One attribute replaced, now and then."""
    if rng.random() < 0.25:
        name = rng.choice(list(attributes))
        attributes[name] = rng.choice((
            rng.choice(EXTREMES), float(rng.choice(SPECIAL)), "x", [rng.choice(EXTREMES)],
            [rng.choice(EXTREMES), rng.choice(EXTREMES)], [1, 2, 3],
        ))  # fmt: skip
    return attributes


def dtype_of(rng: random.Random) -> Any:
    return rng.choice((np.float32, np.float64))


def sparse(rng: random.Random) -> tuple[list[Array | None], tuple[int, int], Any]:
    kind, (batch, slots, channels) = dtype_of(rng), (rng.choice((0, 1, 1, 2, 5)), size(rng), size(rng))
    image = rng.randint(1, 12), rng.randint(1, 12)
    features = values(rng, batch, slots, channels, dtype=kind)
    if rng.random() < 0.05:
        slots += rng.choice((-1, 1))
    return [features, coordinates(rng, batch, max(slots, 0), *image)], image, kind


def input_reduce(rng: random.Random) -> Any:
    x = values(rng, rng.choice((0, 1, 2)), size(rng), size(rng), rng.choice((0, 1, 1, 2, 3)), dtype=dtype_of(rng))
    budget = rng.choice((1, 2, 20, 100, 0, -1, 2**40, 2**62))
    return "InputReduce", [x], spoiled(rng, {"n_max_pixels": budget, "threshold": rng.choice((0.0, 0.5, np.nan))})


def convolution(rng: random.Random) -> Any:
    inputs, _, kind = sparse(rng)
    channels = inputs[0].shape[2] if inputs[0] is not None else 1
    group = rng.choice((1, 1, 2, max(channels, 1)))
    kernel = [rng.choice((1, 2, 3, 5, 9)) for _ in range(2)]
    filters = rng.choice((1, 2, 3, 4, 8, 9)) * (group if rng.random() < 0.9 else 1)
    weights = values(rng, filters, max(channels // group, 0 if rng.random() < 0.1 else 1), *kernel, dtype=kind)
    bias = rng.choice((None, values(rng, filters, dtype=kind), values(rng, filters + 1, dtype=kind)))
    attributes = {"kernel_shape": kernel, "dilations": [rng.choice((1, 2, 3, 2**31)), 1], "group": group}
    inputs += [weights, bias]
    if rng.random() < 0.3:
        epilogue = {"relu": 1, "quantizer": "FixedPointQuant", "by_pixel": rng.choice((0, 1)), **modes(rng)}
        parameters = [values(rng, *rng.choice(((), (1,), (filters,), (4, 4, filters))), dtype=kind) for _ in range(3)]
        return "FusedSparseConv", [*inputs, *parameters], spoiled(rng, {**attributes, **epilogue})
    return "SparseConv", inputs, spoiled(rng, attributes)


def pooling(rng: random.Random) -> Any:
    inputs, image, _ = sparse(rng)
    mode, kernel = rng.choice(("average", "max")), [rng.choice((1, 2, 3, 20)), rng.choice((1, 2, 3))]
    return "SparsePool", inputs, spoiled(rng, {"mode": mode, "kernel_shape": kernel, "spatial_shape": list(image)})


def scatter(rng: random.Random) -> Any:
    inputs, image, _ = sparse(rng)
    return "SparseToDense", inputs, spoiled(rng, {"spatial_shape": list(image)})


def dense(rng: random.Random) -> Any:
    inputs, image, kind = sparse(rng)
    channels = inputs[0].shape[2] if inputs[0] is not None else 1
    weights = values(rng, size(rng), rng.choice((channels, channels, 1)), *image, dtype=kind)
    bias = rng.choice((None, values(rng, weights.shape[0], dtype=kind)))
    return "SparseDense", [*inputs, weights, bias], spoiled(rng, {"relu": rng.choice((0, 1))})


def modes(rng: random.Random) -> dict[str, Any]:
    rounding = rng.choice(("TRN", "TRN_ZERO", "RND", "RND_ZERO", "RND_MIN_INF", "RND_INF", "RND_CONV"))
    return {"rounding_mode": rounding, "overflow_mode": rng.choice(("WRAP", "SAT", "SAT_SYM", "WRAP_SM"))}


def fixed_point(rng: random.Random) -> Any:
    inputs, image, kind = sparse(rng)
    channels = inputs[0].shape[2] if inputs[0] is not None else 1
    shapes = ((), (1,), (channels,), (1, 1, channels), (*image, channels), (*image, 1), (2, 3), (0,))
    parameters = [values(rng, *rng.choice(shapes), dtype=kind) for _ in range(3)]
    coords = inputs[1] if rng.random() < 0.6 else rng.choice((None, np.full((1, 1, 2), -1, np.int64)))
    return "FixedPointQuant", [inputs[0], *parameters, coords], spoiled(rng, modes(rng))


def standard_quant(rng: random.Random) -> Any:
    x = values(rng, *(size(rng) for _ in range(rng.randrange(5))), dtype=dtype_of(rng))
    parameters = [values(rng, *rng.choice(((), (1,), x.shape[-1:], (0,))), dtype=x.dtype) for _ in range(3)]
    attributes = {"signed": rng.choice((0, 1)), "narrow": rng.choice((0, 1)), "rounding_mode": "ROUND"}
    return "Quant", [x, *parameters], spoiled(rng, attributes)


KERNELS = (input_reduce, convolution, convolution, pooling, scatter, dense, fixed_point, standard_quant)
