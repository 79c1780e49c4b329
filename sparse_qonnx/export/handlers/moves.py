"""Layers and functions of Keras that move values: cropping, padding, flipping, cutting, repeating."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparse_qonnx.export.call import LayerCall
from sparse_qonnx.export.foreign import convert
from sparse_qonnx.export.handlers.shape import to_dense
from sparse_qonnx.export.moves import Mover, find_moves
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import DenseValue, MaskValue, SparseValue

_LAYERS = [f"{kind}{n}D" for kind in ("Cropping", "ZeroPadding", "UpSampling") for n in (1, 2, 3)]
_FUNCTIONS = (
    "Diagonal",
    "ExpandDims",
    "Flip",
    "GetItem",
    "Moveaxis",
    "Pad",
    "Ravel",
    "Repeat",
    "Reshape",
    "Roll",
    "Rot90",
    "Split",
    "Squeeze",
    "Swapaxes",
    "Take",
    "Tile",
    "Transpose",
)


@handler(
    *(f"keras.layers.{name}" for name in _LAYERS),
    "keras.layers.RepeatVector",
    *(f"keras.src.ops.numpy.{name}" for name in _FUNCTIONS),
    "keras.src.ops.core.Unstack",
    any_numbers=True,
    any_types=True,
)
def move(call: LayerCall) -> tuple[DenseValue, ...]:
    """Each result is made of values of the input, and at most of one constant around them.

    What interpolates, or moves events, is converted as any other layer.
    """
    inputs = call.inputs
    if len(inputs) != 1:
        return convert(call)
    value = to_dense(call, call.single())
    moves = find_moves(
        lambda tensor: call.layer(*_filled(call.args, tensor), **_filled(call.kwargs, tensor)), value.shape
    )
    if moves is None:
        return convert(call, value)
    results = []
    for n, found in enumerate(moves):
        name = call.name if n == 0 else f"{call.name}.{n}"
        made = Mover(call.graph, name).emit(value.name, value.shape, found)
        if made is None:
            return convert(call, value)
        results.append(DenseValue(made, call.output_shapes[n], float_head=value.float_head))
    return tuple(results)


def _filled(arguments: Any, tensor: Any) -> Any:
    """The arguments with a tensor in place of the value that flows."""
    import keras

    def fill(argument: Any) -> Any:
        return tensor if isinstance(argument, (DenseValue, SparseValue, MaskValue)) else argument

    return keras.tree.map_structure(fill, arguments)


@handler("keras.src.ops.numpy.Stack", any_numbers=True)
def stack(call: LayerCall) -> DenseValue:
    """Tensors of one shape along a new axis."""
    values = [to_dense(call, value, f"{call.name}.dense{n}") for n, value in enumerate(call.tensors())]
    rank = len(call.output_shapes[0]) + 1
    axis = int(call.layer.axis) % rank
    if axis == 0:
        call.refuse("axis=0: joins events", allowed="axis=1 and later", fix="axis=-1")
    place = call.graph.constant(f"{call.name}.axis", np.array([axis], dtype=np.int64))
    parts: list[str] = []
    for n, value in enumerate(values):
        parts += call.graph.node("Unsqueeze", [value.name, place], [f"{call.name}.{n}"])
    (result,) = call.graph.node("Concat", parts, [call.name], axis=axis)
    return DenseValue(
        result, call.output_shapes[0], float_head=next((v.float_head for v in values if v.float_head), "")
    )
