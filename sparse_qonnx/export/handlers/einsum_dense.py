"""HGQ2's einsum layers with one constant operand: a matrix product between transpositions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.export.activations import activation_steps
from sparse_qonnx.export.call import LayerCall, Step
from sparse_qonnx.export.quantizers import quantizer_steps, to_numpy
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import DenseValue, Tensor

Array = NDArray[Any]


@dataclass(frozen=True)
class Plan:
    """An einsum `input, kernel -> output` by what its axes do, batch axis left out.

    Args:
        source: axes of the input sample.
        kernel: axes of the kernel.
        result: axes of the output sample.
    """

    source: str
    kernel: str
    result: str

    @property
    def free(self) -> str:
        """Axes the kernel does not have."""
        return "".join(a for a in self.source if a not in self.kernel)

    @property
    def summed(self) -> str:
        """Axes of the input that meet the kernel; those that stay in the output meet it block by block."""
        return "".join(a for a in self.source if a in self.kernel)

    @property
    def made(self) -> str:
        """Axes of the output that the kernel decides."""
        return "".join(a for a in self.result if a in self.kernel)

    def matrix(self, kernel: Array) -> Array:
        """The kernel as a matrix `[summed, made]`, block diagonal in the axes that both sides keep."""
        sizes = dict(zip(self.kernel, kernel.shape, strict=True))
        for axis in self.kernel:
            if axis in self.source and axis in self.result:  # "ab" -> "aAb" with ones where a == A
                place = self.kernel.index(axis)
                eye = np.eye(sizes[axis], dtype=kernel.dtype)
                shape = [1] * (kernel.ndim + 1)
                shape[place], shape[-1] = eye.shape
                kernel = np.expand_dims(kernel, -1) * eye.reshape(shape)
        kept = [axis for axis in self.kernel if axis in self.source and axis in self.result]
        names = [*self.kernel, *(axis.swapcase() + "'" for axis in kept)]
        outer = [axis.swapcase() + "'" if axis in kept else axis for axis in self.made]
        order = [names.index(axis) for axis in (*self.summed, *outer)]
        rows = math.prod(sizes[axis] for axis in self.summed)
        return kernel.transpose(order).reshape(rows, -1)


def plan(call: LayerCall, rank: int) -> Plan:
    """Parse the layer's equation; `...` stands for free axes."""
    inputs, result = call.layer.equation.replace(" ", "").split("->")
    source, kernel = inputs.split(",")
    spare = [
        letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if letter not in inputs + result
    ]
    elided = "".join(spare[: rank + 1 - len(source.replace("...", ""))])
    source, result = (text.replace("...", elided) for text in (source, result))
    kinds = {
        "repeats an axis": len(set(source)) < len(source) or len(set(kernel)) < len(kernel),
        "has no batch axis in front": source[0] != result[0] or source[0] in kernel,
        "sums an axis the kernel does not have": any(a not in kernel + result for a in source),
        "sums the kernel": any(a not in source + result for a in kernel),
    }
    for problem, holds in kinds.items():
        if holds:
            fix = "sum with QSum, then use QEinsumDense"
            call.refuse(f"equation={call.layer.equation!r} {problem}", allowed="matrix products", fix=fix)
    return Plan(source[1:], kernel, result[1:])


def _weights(layer: Any) -> tuple[Array, Array | None]:
    if hasattr(layer, "get_fused_qkernel_and_qbias"):
        mean, variance = layer.moving_mean, layer.moving_variance
        kernel, bias = layer.get_fused_qkernel_and_qbias(training=False, mean=mean, var=variance)
        return to_numpy(kernel), to_numpy(bias)
    return to_numpy(layer.qkernel), None if layer.bias is None else to_numpy(layer.qbias)


def _rearranged(call: LayerCall, part: str, order: list[int], shape: tuple[int, ...]) -> list[Step]:
    """Transpose and reshape one sample; nothing where nothing changes."""
    steps: list[Step] = []

    def transpose(value: Tensor, name: str) -> Tensor:
        (result,) = call.graph.node("Transpose", [value.name], [name], perm=[0, *(n + 1 for n in order)])
        return DenseValue(result, tuple(value.shape[n] for n in order))

    def reshape(value: Tensor, name: str) -> Tensor:
        if value.shape == shape:
            return value
        target = call.graph.constant(f"{name}.shape", np.array([0, *shape], dtype=np.int64))
        (result,) = call.graph.node("Reshape", [value.name, target], [name])
        return DenseValue(result, shape)

    steps.append((f"{part}_shaped", reshape))
    if order != sorted(order):
        steps.insert(0 if part == "in" else 1, (f"{part}_ordered", transpose))
    return steps


@handler("hgq.layers.QEinsumDense", "hgq.layers.QEinsumDenseBatchnorm")
def einsum_dense(call: LayerCall) -> Tensor:
    """QEinsumDense and QEinsumDenseBatchnorm."""
    value, layer = call.fixed(call.dense()), call.layer
    rank = len(value.shape)
    axes = plan(call, rank)
    kernel, bias = _weights(layer)
    weights = call.graph.quantized_constant(f"{call.name}.kernel", axes.matrix(kernel))
    # not the shape Keras states: for several elided axes it has them in reverse order
    sizes = dict(zip(axes.source, value.shape, strict=True)) | dict(zip(axes.kernel, kernel.shape, strict=True))
    free = tuple(sizes[a] for a in axes.free)
    made = tuple(sizes[a] for a in axes.made)
    units = math.prod(made)

    def product(source: Tensor, name: str) -> Tensor:
        (result,) = call.graph.node("MatMul", [source.name, weights], [name])
        return DenseValue(result, (*free, units))

    natural = axes.free + axes.made
    steps: list[Step] = quantizer_steps(call, layer.iq, "iq", rank) if layer.enable_iq else []
    inner = (*free, math.prod(sizes[a] for a in axes.summed))
    steps += _rearranged(call, "in", [axes.source.index(a) for a in axes.free + axes.summed], inner)
    steps.append(("matmul", product))
    steps += _rearranged(call, "out", [natural.index(a) for a in axes.result], (*free, *made))
    if bias is not None:
        addend = call.graph.quantized_constant(f"{call.name}.bias", bias)
        steps.append(call.elementwise("linear", "Add", [addend]))
    steps += activation_steps(call, layer.activation)
    if layer.enable_oq:
        steps += quantizer_steps(call, layer.oq, "oq", len(axes.result))
    return call.chain(value, steps)
