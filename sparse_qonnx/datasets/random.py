"""Events drawn at random, where a user gives none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from sparse_qonnx.graph import all_values, tensor_shape
from sparse_qonnx.passes.infer_grids import input_types
from sparse_qonnx.roles import coordinates
from sparse_qonnx.runtime import affordable_batch


def random_inputs(model: ModelProto, events: int, seed: int = 0) -> dict[str, NDArray[np.float32]]:
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
    slots = [tensor_shape(values[name])[1] for name in places if len(tensor_shape(values[name])) == 3]
    kept = max((n for n in slots if isinstance(n, int)), default=32)
    inputs: dict[str, NDArray[np.float32]] = {}
    for value in model.graph.input:
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
        inputs[value.name] = drawn.astype(np.float32)
    return inputs
