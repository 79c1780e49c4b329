"""HGQ2's batch normalization: at inference a quantized factor and a quantized offset."""

from __future__ import annotations

from dataclasses import replace

from sparse_qonnx.export.call import LayerCall
from sparse_qonnx.export.handlers.sparse_conv import masking_step
from sparse_qonnx.export.quantizers import quantizer_steps, to_numpy
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import DenseValue, SparseValue, Tensor


@handler("hgq.layers.QBatchNormalization")
def batch_normalization(call: LayerCall) -> Tensor:
    """QBatchNormalization over the last axis.

    On a sparse feature map the offset fills inactive pixels, so that a convolution must follow.
    """
    value, layer = call.single(), call.layer
    rank = len(value.shape)
    call.require("axis", int(layer.axis) % (rank + 1), [rank], "only channels last are exported", "axis=-1")
    if isinstance(value, DenseValue):
        value = call.fixed(value)
    scale, offset = (to_numpy(part) for part in layer.qscaler_and_qoffset)
    factor = call.graph.quantized_constant(f"{call.name}.scale", scale)
    addend = call.graph.quantized_constant(f"{call.name}.offset", offset)
    steps = quantizer_steps(call, layer.iq, "iq", rank) if layer.enable_iq else []
    steps += [call.elementwise("scaled", "Mul", [factor]), call.elementwise("linear", "Add", [addend])]
    filled = isinstance(value, SparseValue) and bool((offset != 0).any())
    if filled:
        steps.append(masking_step(call, "masked", value.shape[-1]))
    if layer.enable_oq:
        steps += quantizer_steps(call, layer.oq, "oq", rank)
    result = call.chain(value, steps)
    return replace(result, filled_by=call.name) if filled and isinstance(result, SparseValue) else result
