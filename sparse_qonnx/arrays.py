"""Events in files: `.npy` in, `.npy` out, or drawn at random."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from sparse_qonnx.errors import InputDataError
from sparse_qonnx.files import write_bytes
from sparse_qonnx.graph import tensor_shape
from sparse_qonnx.passes.infer_grids import input_types
from sparse_qonnx.runtime import check_inputs, input_shapes

Array = NDArray[Any]
Inputs = dict[str, NDArray[np.float32]]


def read_array(path: str) -> Array:
    """The array in a `.npy` file.

    Raises:
        InputDataError: if the file is missing, no `.npy` file, or holds Python objects.
    """
    where = f"input file {path!r}"
    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise InputDataError(where, f"cannot be read: {error.strerror or error}", fix="check the path") from error
    except (ValueError, EOFError) as error:
        fix = "write it with numpy.save(path, x.astype(numpy.float32))"
        raise InputDataError(where, "is not a .npy file of numbers", allowed="a NumPy array file", fix=fix) from error
    if not isinstance(array, np.ndarray):
        raise InputDataError(where, "holds several arrays (.npz)", allowed=".npy", fix="save the one array")
    return array


def read_inputs(model: ModelProto, arguments: Sequence[str]) -> Inputs:
    """The inputs of a model from `X.npy` or `NAME=X.npy` arguments; float64 arrays are rounded to float32.

    Raises:
        InputDataError: for unreadable files, unknown or missing names, wrong shapes or types.
    """
    shapes = input_shapes(model)
    given: dict[str, Array] = {}
    for argument in arguments:
        name, separator, path = argument.partition("=")
        if not separator or name not in shapes:
            if len(shapes) != 1:
                names = ", ".join(f"{n}=X.npy" for n in shapes)
                raise InputDataError(f"--input {argument!r}", "does not say which input it is", allowed=names)
            name, path = next(iter(shapes)), argument
        array = read_array(path)
        given[name] = array.astype(np.float32) if array.dtype == np.float64 else array
    check_inputs({name: ("tensor(float)", shape) for name, shape in shapes.items()}, given)
    lengths = sorted({len(array) for array in given.values()})
    if len(lengths) != 1 or lengths == [0]:
        raise InputDataError("inputs", f"hold {lengths} events", allowed="the same number in each file, at least 1")
    return given


def random_inputs(model: ModelProto, events: int, seed: int = 0) -> Inputs:
    """Random sparse events on the input grid, on average with as many lit pixels as the model keeps.

    The first event is empty and the second has every pixel lit: the two ends of what a model can meet.

    Args:
        model: the model.
        events: how many.
        seed: of the random numbers.
    """
    rng = np.random.default_rng(seed)
    types = input_types(model)
    slots = [tensor_shape(value)[1] for value in model.graph.value_info if value.name.endswith("coords")]
    kept = max((n for n in slots if isinstance(n, int)), default=32)
    inputs: Inputs = {}
    for value in model.graph.input:
        sample = tuple(n if isinstance(n, int) else 1 for n in tensor_shape(value)[1:])
        values = rng.random((events, *sample), dtype=np.float32)
        kind = types.get(value.name)
        if kind is not None:
            step = 2.0**-kind.frac
            values = kind.quantize(values * (kind.highest - kind.lowest) * step + kind.lowest * step)
        if len(sample) == 3:
            chance = np.full(events, kept / (sample[0] * sample[1]))
            chance[:2] = (0, 1)[:events]
            lit = rng.random((events, *sample[:2], 1)) < chance[:, None, None, None]
            values = np.where(lit, values, np.float32(0))
        inputs[value.name] = values.astype(np.float32)
    return inputs


def batches(inputs: Inputs, size: int) -> Iterator[tuple[int, int, Inputs]]:
    """Slices of at most `size` events: (events up to here, events in all, the slice)."""
    total = len(next(iter(inputs.values())))
    for start in range(0, total, size):
        yield min(start + size, total), total, {name: array[start : start + size] for name, array in inputs.items()}


def write_array(array: Array, path: str | Path) -> None:
    """Write a `.npy` file, whole or not at all.

    Raises:
        OutputPathError: if it cannot be written.
    """
    stream = io.BytesIO()
    np.save(stream, array)
    write_bytes(stream.getvalue(), path)
