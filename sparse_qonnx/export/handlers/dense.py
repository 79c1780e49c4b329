"""Dense layers: MatMul, Add, activation."""

from __future__ import annotations

from sparse_qonnx.export.activations import activation_steps
from sparse_qonnx.export.call import LayerCall, Step
from sparse_qonnx.export.quantizers import quantizer_steps, to_numpy
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import DenseValue, Tensor


def _matmul(call: LayerCall, weights: str, units: int) -> Step:
    def emit(value: Tensor, name: str) -> Tensor:
        assert isinstance(value, DenseValue)
        (result,) = call.graph.node("MatMul", [value.name, weights], [name])
        return DenseValue(result, (*value.shape[:-1], units))

    return "matmul", emit


@handler("hgq.layers.QDense", "hgq.layers.QBatchNormDense")
def dense(call: LayerCall) -> Tensor:
    """QDense: input quantizer, product with the quantized kernel, quantized bias, activation, output quantizer.

    QBatchNormDense is the same, its normalization being part of kernel and bias.
    """
    value, layer = call.fixed(call.dense()), call.layer
    rank = len(value.shape)
    weights = call.graph.quantized_constant(f"{call.name}.kernel", to_numpy(layer.qkernel))
    steps: list[Step] = quantizer_steps(call, layer.iq, "iq", rank) if layer.enable_iq else []
    steps.append(_matmul(call, weights, layer.units))
    if layer.use_bias:
        bias = call.graph.quantized_constant(f"{call.name}.bias", to_numpy(layer.qbias))
        steps.append(call.elementwise("linear", "Add", [bias]))
    steps += activation_steps(call, layer.activation)
    if layer.enable_oq:
        steps += quantizer_steps(call, layer.oq, "oq", rank)
    return call.chain(value, steps)
