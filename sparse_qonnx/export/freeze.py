"""The values that an exported file must reproduce, computed by Keras."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.errors import InputDataError, UnsupportedLayerError
from sparse_qonnx.export.frozen_layers import FrozenLayers
from sparse_qonnx.export.quantizers import to_numpy
from sparse_qonnx.export.tracer import Trace, trace
from sparse_qonnx.export.values import Coordinates, MaskValue, SparseValue, Value
from sparse_qonnx.export.walk import Visit, walk

Array = NDArray[Any]


def reference_outputs(
    model: Any,
    x: Array | Sequence[Array],
    tensors: Sequence[str] | None = None,
    float64: bool = False,
    batch: int = 128,
) -> dict[str, Array]:
    """What a Keras model, frozen, gives for every tensor of the exported file that is a layer's result.

    Args:
        model: functional or Sequential Keras model.
        x: events `[B, H, W, C]`, or a list of one array per input.
        tensors: names wanted; None for all: results of layers, and the coordinates of reductions and poolings.
        float64: compute in float64, with the same quantized weights, as models with wide numbers need.
        batch: events computed at once.

    Returns:
        Arrays by tensor name: dense tensors `[B, ...]`, sparse ones `[B, N, C]` in the slots of the file with empty
        slots 0, coordinates int64 `[B, N, 2]`. Others are float32, or float64 where that was asked for.

    Raises:
        UnsupportedLayerError: where the model cannot be exported.
        InputDataError: for events of the wrong shape.
    """
    reference = Reference(model, float64)
    arrays = reference.check(x)
    parts: dict[str, list[Array]] = {}
    for start in range(0, max(len(arrays[0]), 1), batch):
        for name, value in reference.run([a[start : start + batch] for a in arrays]).items():
            if tensors is None or name in tensors:
                parts.setdefault(name, []).append(value)
    return {name: np.concatenate(pieces) for name, pieces in parts.items()}


class Reference:
    """A Keras model, frozen once to be run batch by batch; see `reference_outputs`.

    Args:
        model: functional or Sequential Keras model.
        float64: compute in float64.

    Raises:
        UnsupportedLayerError: where the model cannot be exported.
    """

    def __init__(self, model: Any, float64: bool = False) -> None:
        self._model = model
        self._traced = trace(model)
        self._frozen = FrozenLayers(float64)

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Shape of one event of each input, by name."""
        return {value.name: value.shape for value in self._traced.inputs}

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs in the exported file, in the order of the model's."""
        return list(self._traced.graph.outputs)

    def check(self, x: Array | Sequence[Array]) -> list[Array]:
        """The events as one array per input.

        Raises:
            InputDataError: for events of the wrong shape.
        """
        return _check_inputs(self._traced, x)

    def run(self, arrays: Sequence[Array]) -> dict[str, Array]:
        """Every tensor of one batch, by name; the model's outputs among them."""
        return _run(self._model, self._traced, self._frozen, arrays)


def _check_inputs(traced: Trace, x: Array | Sequence[Array]) -> list[Array]:
    arrays = [np.asarray(a) for a in (x if isinstance(x, (list, tuple)) else [x])]
    if len(arrays) != len(traced.inputs):
        names = ", ".join(value.name for value in traced.inputs)
        raise InputDataError("input data", f"{len(arrays)} arrays", allowed=f"one array for each of {names}")
    for array, value in zip(arrays, traced.inputs, strict=True):
        if array.shape[1:] != value.shape or array.ndim != len(value.shape) + 1:
            shape = ", ".join(map(str, value.shape))
            raise InputDataError(f"input {value.name!r}", f"has shape {list(array.shape)}", allowed=f"[B, {shape}]")
    if len({len(a) for a in arrays}) > 1:
        raise InputDataError("input data", "arrays hold different numbers of events", allowed="one number of events")
    return arrays


def _run(model: Any, traced: Trace, frozen: FrozenLayers, arrays: Sequence[Array]) -> dict[str, Array]:
    """One batch: the walk of the trace once more, with arrays."""
    from keras import tree

    symbolic = iter(traced.visits)
    slots: dict[Coordinates, Array] = {}
    results: dict[str, Array] = {}

    def visit(event: Visit) -> Any:
        outputs = frozen.call(event)
        pairs = list(zip(next(symbolic), map(to_numpy, tree.flatten(outputs)), strict=True))
        results.update(_exported(pairs, slots))  # a layer that does nothing repeats its input
        return outputs

    outputs = walk(model, [frozen.tensor(a) for a in arrays], visit)
    return results | dict(zip(traced.graph.outputs, map(to_numpy, outputs), strict=True))


def _exported(pairs: list[tuple[Value, Array]], slots: dict[Coordinates, Array]) -> Iterator[tuple[str, Array]]:
    """Tensors of the file from the results of one layer; new coordinates are added to `slots`."""
    for value, array in pairs:
        if isinstance(value, MaskValue):
            slots[value.coords] = locate(value.coords, array, slots)
            yield value.coords.name, slots[value.coords]
    for value, array in pairs:
        if isinstance(value, SparseValue):
            yield value.name, gather(value, array, slots[value.coords])
        elif not isinstance(value, MaskValue):
            yield value.name, array


def locate(coords: Coordinates, mask: Array, slots: dict[Coordinates, Array]) -> Array:
    """Coordinates `[B, N, 2]` of the active pixels of a Keras mask `[B, H, W, 1]`, in the slots of the file."""
    if coords.parent is None:
        found = np.zeros((len(mask), coords.slots, 2), dtype=np.int64)
        for event, image in enumerate(mask[..., 0]):
            pixels = np.argwhere(image != 0) + 1
            found[event, : len(pixels)] = pixels
    else:
        found = _pooled(slots[coords.parent], coords)
    if not np.array_equal(np.count_nonzero(found[..., 0], axis=1), np.count_nonzero(mask, axis=(1, 2, 3))):
        raise UnsupportedLayerError(
            f"coordinates {coords.name!r}", "Keras's mask has other pixels than the file's slots"
        )
    return found


def _pooled(before: Array, coords: Coordinates) -> Array:
    """A cell sits in the slot of the first pixel in it; pixels in partial windows leave."""
    assert coords.parent is not None
    size = np.array(coords.cell) // coords.parent.cell
    cells = (before - 1) // size + 1
    inside = np.all(before > 0, axis=2) & np.all(cells <= (coords.height, coords.width), axis=2)
    found = np.zeros_like(before)
    for event in range(len(before)):
        slot = np.flatnonzero(inside[event])
        _, first = np.unique(cells[event, slot], axis=0, return_index=True)
        found[event, slot[first]] = cells[event, slot[first]]
    return found


def gather(value: SparseValue, image: Array, coords: Array) -> Array:
    """Features `[B, N, C]` of a Keras feature map `[B, H, W, C]`, empty slots 0."""
    active = np.all(coords > 0, axis=2)
    row, column = np.maximum(coords - 1, 0).transpose(2, 0, 1)
    picked: Array = image[np.arange(len(image))[:, None], row, column]
    features = np.where(active[..., None], picked, image.dtype.type(0))
    if not value.filled_by and np.isfinite(image).all() and np.count_nonzero(image) != np.count_nonzero(features):
        raise UnsupportedLayerError(
            f"tensor {value.name!r}", "Keras has values at inactive pixels, which the file has not"
        )
    return features
