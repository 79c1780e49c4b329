"""Helpers of the tests of the native kernels: models of a single node, and random sparse maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sparse_qonnx._paths import find_library, why_no_library

Array = NDArray[Any]
Inputs = Sequence[Array | None]

DOMAIN = "sparse_qonnx.ops"
QONNX = "qonnx.custom_op.general"
ONNX_TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "int64": TensorProto.INT64}
OUTPUTS = {"InputReduce": 2, "SparsePool": 2}

requires_library = pytest.mark.skipif(find_library() is None, reason=why_no_library())


def model(op: str, inputs: Inputs, constant: Sequence[int] = (), domain: str = DOMAIN, **attributes: Any) -> bytes:
    """A model of one node; `constant` says which inputs are initializers, None which are left out."""
    names = ["" if array is None else f"input{k}" for k, array in enumerate(inputs)]
    given = [(name, array, k) for k, (name, array) in enumerate(zip(names, inputs, strict=True)) if array is not None]
    infos = [helper.make_tensor_value_info(n, ONNX_TYPES[str(a.dtype)], None) for n, a, k in given if k not in constant]
    initializers = [numpy_helper.from_array(array, name) for name, array, k in given if k in constant]
    outputs = [f"output{k}" for k in range(OUTPUTS.get(op, 1))]
    values = ONNX_TYPES[str(given[0][1].dtype)]
    out_infos = [
        helper.make_tensor_value_info(o, TensorProto.INT64 if k else values, None) for k, o in enumerate(outputs)
    ]
    while not names[-1]:
        names.pop()
    node = helper.make_node(op, names, outputs, domain=domain, name="the_node", **attributes)
    graph = helper.make_graph([node], "graph", infos, out_infos, initializers)
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid(domain, 1)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def session(content: bytes, threads: int = 1) -> ort.InferenceSession:
    """A session with the native kernels, and nothing else of ours."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.register_custom_ops_library(str(find_library()))
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def feeds(inputs: Inputs, constant: Sequence[int] = ()) -> dict[str, Array]:
    """What a session of `model(op, inputs, constant)` is run with."""
    return {f"input{k}": array for k, array in enumerate(inputs) if array is not None and k not in constant}


def run(
    op: str, inputs: Inputs, constant: Sequence[int] = (), threads: int = 1, domain: str = DOMAIN, **attributes: Any
) -> list[Array]:
    """Outputs of one node, computed by its native kernel."""
    ready = session(model(op, inputs, constant, domain, **attributes), threads)
    return list(ready.run(None, feeds(inputs, constant)))


def assert_same(actual: Sequence[Array], expected: Sequence[Array]) -> None:
    """Every output has the same type, shape and values; NaN equals NaN."""
    assert len(actual) == len(expected)
    for got, wanted in zip(actual, expected, strict=True):
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_array_equal(got, wanted)


def sparse_map(
    rng: np.random.Generator, batch: int, slots: int, image: tuple[int, int], channels: int, dtype: Any, raster: bool
) -> tuple[Array, Array]:
    """Features on a grid of quarters and their coordinates; not `raster`: any order, with empty slots in between."""
    features = np.zeros((batch, slots, channels), dtype)
    coords = np.zeros((batch, slots, 2), np.int64)
    pixels = image[0] * image[1]
    for event in range(batch):
        count = int(rng.integers(0, min(slots, pixels) + 1))
        chosen = rng.permutation(pixels)[:count]
        places = np.arange(count) if raster else np.sort(rng.permutation(slots)[:count])
        chosen = np.sort(chosen) if raster else chosen
        coords[event, places] = np.stack([chosen // image[1] + 1, chosen % image[1] + 1], axis=1)
        values = rng.integers(-8, 9, (count, channels)) / 4
        features[event, places] = values * (rng.random((count, 1)) > 0.2)  # some kept pixels are all zero
    return features, coords


def spoil(rng: np.random.Generator, values: Array, share: float = 0.1) -> Array:
    """Some values replaced by NaN, infinities, signed zeros, ties and numbers beyond every integer grid."""
    special = np.array([np.nan, np.inf, -np.inf, -0.0, 0.5, -0.5, 1.5, 1e30, -1e30, 2.0**23, 8388607.5, 1e-40])
    return np.where(rng.random(values.shape) < share, rng.choice(special, values.shape), values).astype(values.dtype)
