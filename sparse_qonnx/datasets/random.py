"""Events drawn at random, where a user gives none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from sparse_qonnx.graph import all_values, tensor_shape
from sparse_qonnx.passes.infer_grids import input_types, node_attributes
from sparse_qonnx.roles import coordinates, read_coordinates
from sparse_qonnx.runtime import affordable_batch, input_dtypes

Array = NDArray[Any]


def random_inputs(model: ModelProto, events: int, seed: int = 0) -> dict[str, Array]:
    """Random sparse events on the input grid, on average with as many lit pixels as the model keeps.

    The first event is empty and the second has every pixel lit: the two ends of what a model can meet.

    Args:
        model: the model.
        events: how many; fewer where so many would not fit into memory, see `affordable_batch`.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    events = affordable_batch(model, events)
    types = input_types(model)
    places, values = coordinates(model), all_values(model)
    numbers = [tensor_shape(values[name])[1] for name in places if len(tensor_shape(values[name])) == 3]
    kept = max((n for n in numbers if isinstance(n, int)), default=32)
    inputs: dict[str, Array] = {}
    dtypes = input_dtypes(model)
    for value in model.graph.input:
        if value.name in places:
            inputs[value.name] = _random_places(model, value.name, events, rng)
            continue
        sample = tuple(n if isinstance(n, int) else 1 for n in tensor_shape(value)[1:])
        drawn = rng.random((events, *sample), dtype=np.float32)
        kind = types.get(value.name)
        if kind is not None:
            step = 2.0**-kind.frac
            drawn = kind.quantize(drawn * (kind.highest - kind.lowest) * step + kind.lowest * step)
        if len(sample) == 3:
            chance = np.full(events, kept / (sample[0] * sample[1]))
            chance[:2] = (0, 1)[:events]
            lit = rng.random((events, *sample[:2], 1)) < chance[:, None, None, None]
            drawn = np.where(lit, drawn, np.float32(0))
        inputs[value.name] = _in_type(drawn, dtypes[value.name])
    slots = {inputs[name].shape[1]: inputs[name].any(axis=2, keepdims=True) for name in inputs if name in places}
    for name, drawn in inputs.items():  # an empty slot holds 0
        if name not in places and drawn.ndim == 3 and drawn.shape[1] in slots:
            inputs[name] = np.where(slots[drawn.shape[1]], drawn, drawn.dtype.type(0))
    return inputs


def _in_type(drawn: Array, dtype: np.dtype[Any]) -> Array:
    """Numbers in the type of an input; where that is of integers, those of a pixel of 8 bits or less."""
    if dtype.kind in "iu":
        drawn = np.rint(drawn * 127 if drawn.max(initial=0) <= 1 else drawn)
    found: Array = drawn.astype(np.float32).astype(dtype)
    return found


def _random_places(model: ModelProto, name: str, events: int, rng: np.random.Generator) -> Array:
    """Coordinates `[B, N, 2]` of distinct pixels in raster order, as InputReduce makes them; the first event empty."""
    slots = tensor_shape(all_values(model)[name])[1]
    height, width = _image_of(model, name)
    found = np.zeros((events, slots if isinstance(slots, int) else 1, 2), np.int64)
    for event in range(1, events):
        most = min(found.shape[1], height * width)
        number = most if event == 1 else int(rng.integers(0, most + 1))
        pixels = np.sort(rng.choice(height * width, number, replace=False))
        found[event, :number] = np.stack(np.divmod(pixels, width), axis=1) + 1
    return found


def _image_of(model: ModelProto, name: str) -> tuple[int, int]:
    """Rows and columns that coordinates may have: of the smallest image that a reader of them states."""
    sizes = [(_ANY_IMAGE, _ANY_IMAGE)]
    values = all_values(model)
    for node in model.graph.node:
        if name in read_coordinates(node):
            stated = node_attributes(node).get("spatial_shape")
            maps = [
                tensor_shape(values[n])[:2] for n in node.input if n in values and len(tensor_shape(values[n])) == 3
            ]
            sizes += [stated] if isinstance(stated, tuple) else []
            sizes += [(h, w) for h, w in maps if isinstance(h, int) and isinstance(w, int) and h > 1 and w > 1]
    return min(h for h, _ in sizes), min(w for _, w in sizes)


_ANY_IMAGE = 16
"""Rows and columns of coordinates where nothing states them."""
