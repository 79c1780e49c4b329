"""Tensors of a file and their values: which are compared, how, and what happens in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from sparse_qonnx.graph import all_values

Array = NDArray[Any]
Tensors = dict[str, Array]

LOSE_NAN = ("ReduceMax", "AveragePool", "MaxPool", "MatMul", "ArgMax")
"""Standard operators in which NaN is not handled alike by onnxruntime and by onnx's reference: maxima keep or drop it
by its place, and linear algebra libraries skip products with 0, which would be NaN with it or an infinity."""


def difference(wanted: Array, found: Array, tolerance: float) -> str:
    """What differs; empty where nothing does. NaN equals NaN; float64 beside float32 is compared as float32."""
    if wanted.shape != found.shape:
        return f"shapes {wanted.shape} and {found.shape}"
    kind = np.float32 if np.float32 in (wanted.dtype, found.dtype) else np.float64
    a, b = wanted.astype(kind).astype(np.float64), found.astype(kind).astype(np.float64)
    wrong = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if tolerance:
        wrong &= ~(np.abs(a - b) <= tolerance * max(1.0, float(np.nanmax(np.abs(a), initial=0.0))))
    if not wrong.any():
        return ""
    place = tuple(int(n) for n in np.argwhere(wrong)[0])
    return f"{np.count_nonzero(wrong)} of {wrong.size} values, first at {place}: {a[place]!r} and {b[place]!r}"


def occurred(proto: ModelProto, values: Tensors) -> set[str]:
    """What happens to pixels in these events, for the statistics."""
    found: set[str] = set()
    for node in proto.graph.node:
        if node.op_type == "InputReduce":
            settings = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            image = values[node.input[0]]
            above = (image[..., 0] > settings["threshold"]).sum(axis=(1, 2))
            counts = {"empty": 0, "one pixel": 1, "exactly the budget": settings["n_max_pixels"]}
            found |= {f"events: {what}" for what, count in counts.items() if (above == count).any()}
            found |= {"events: over budget"} if (above > settings["n_max_pixels"]).any() else set()
            found |= (
                {"events: values equal to the threshold"}
                if (image[..., 0] == np.float32(settings["threshold"])).any()
                else set()
            )
        elif node.op_type == "SparseConv":
            found |= {"convolution not all 0"} if values[node.output[0]].any() else set()
            dead = values[node.input[1]].any(axis=-1) & ~values[node.input[0]].any(axis=-1)
            found |= {"kept pixels whose features died"} if dead.any() else set()
            found |= {"dead pixels revived"} if (dead & values[node.output[0]].any(axis=-1)).any() else set()
    return found


def data_tensors(proto: ModelProto) -> Iterator[str]:
    """Numeric tensors that depend on an input, in the order of the graph; inside float layers some have no shape."""
    values = all_values(proto)
    numeric = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64)
    live = _reached(proto, {value.name for value in proto.graph.input})
    for node in proto.graph.node:
        names = {
            n for n in live.intersection(node.output) & set(values) if values[n].type.tensor_type.HasField("shape")
        }
        yield from sorted(n for n in names if values[n].type.tensor_type.elem_type in numeric)


def comparable(proto: ModelProto, events: Tensors, values: Tensors) -> dict[str, Array]:
    """By tensor, which events are compared: all but those with non-finite inputs of an operator of `LOSE_NAN`."""
    everything = np.ones(len(next(iter(events.values()))), dtype=bool)
    kept: dict[str, Array] = {}
    for node in proto.graph.node:
        of_node = everything
        for name in node.input:
            of_node = of_node & kept.get(name, True)
            if node.op_type in LOSE_NAN and name in values:
                of_node = of_node & np.isfinite(values[name]).reshape(len(everything), -1).all(axis=1)
        kept.update(dict.fromkeys(node.output, of_node))
    return kept


def _reached(proto: ModelProto, names: set[str]) -> set[str]:
    found = set(names)
    for node in proto.graph.node:
        if found.intersection(node.input):
            found.update(node.output)
    return found


def with_non_finite(x: Array, seed: int) -> Array:
    """One value in eight is NaN or infinite; one in fifty in every third event, none in the last two of the batch."""
    rng = np.random.default_rng(seed)
    bad = rng.choice([np.nan, np.inf, -np.inf], x.shape)
    share = np.full((len(x), *(1,) * (x.ndim - 1)), 0.125)
    share[::3], share[-2:] = 0.02, 0
    return np.where(rng.random(x.shape) < share, bad, x).astype(np.float32)
