"""Heads that say which value is the largest."""

from __future__ import annotations

from sparse_qonnx.export.call import LayerCall
from sparse_qonnx.export.handlers.shape import to_dense
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import DenseValue


@handler("keras.src.ops.numpy.Argmax", "keras.src.ops.numpy.Argmin", any_numbers=True)
def place(call: LayerCall) -> DenseValue:
    """The place of the largest or smallest value, the first one of equal ones: int64, as ONNX has it."""
    value, layer = to_dense(call, call.single()), call.layer
    rank = len(value.shape) + 1
    axis = None if layer.axis is None else int(layer.axis) % rank
    if axis in (None, 0):
        call.refuse(
            f"axis={layer.axis!r}: compares events with each other", allowed="an axis of one event", fix="axis=-1"
        )
    op_type = "ArgMax" if type(layer).__name__ == "Argmax" else "ArgMin"
    (name,) = call.graph.node(op_type, [value.name], [call.name], axis=axis, keepdims=int(layer.keepdims))
    return DenseValue(name, call.output_shapes[0], float_head=value.float_head)
