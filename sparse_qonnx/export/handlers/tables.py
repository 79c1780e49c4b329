"""Lookup tables: HGQ2's activations on fixed-point inputs, entry by entry as Keras computes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from sparse_qonnx.export.call import LayerCall, Step
from sparse_qonnx.export.frozen_layers import table_function
from sparse_qonnx.export.handlers.sparse_conv import masking_step
from sparse_qonnx.export.quantizers import Format, fills, quantizer_steps, read_format, to_numpy
from sparse_qonnx.export.registry import handler
from sparse_qonnx.export.values import DenseValue, SparseValue, Tensor, renamed
from sparse_qonnx.fixed import OverflowMode

Array = NDArray[Any]

MAX_ENTRIES = 1 << 20
"""Largest table that is written into a file."""


def _codes(call: LayerCall, form: Format) -> tuple[int, int, int]:
    """Every input of the table is m * 2**-frac with lo <= m <= hi."""
    signed, integer, fractional = np.broadcast_arrays(form.signed, form.integer_bits, form.fractional_bits)
    if form.overflow is OverflowMode.WRAP_SM:  # HGQ2 reflects to negative values without a sign as well
        signed = np.ones_like(signed)
    live = form.signed + integer + fractional > 0
    frac = int(fractional[live].max(initial=-128)) if live.any() else 0
    width = float(np.max(np.maximum(integer, -fractional)[live] + signed[live] + frac, initial=0))
    if 2**width > MAX_ENTRIES:
        problem = f"its input quantizer asks for a table of 2**{width:g} entries"
        call.refuse(problem, allowed=f"at most {MAX_ENTRIES} entries", fix="give the input quantizer fewer bits")
    steps = np.exp2(np.maximum(integer, -fractional)[live] + frac).astype(np.int64)
    return int((-steps * signed[live]).min(initial=0)), int((steps - 1).max(initial=0)), frac


def _entries(layer: Any, inputs: Array, shape: tuple[int, ...]) -> Array:
    """Table `[elements, inputs]`: one row where all elements of a sample are quantized alike."""
    import keras

    quantizer = layer.oq if layer.enable_oq else None
    formats = None if quantizer is None or quantizer.q_type == "dummy" else quantizer.quantizer._k
    widths = () if formats is None else tuple(formats.shape)[1:]
    alike = all(n == 1 for n in widths)
    sample = (1,) * len(shape) if alike else shape
    x = np.broadcast_to(inputs.reshape(-1, *(1,) * len(shape)), (len(inputs), *sample))
    y = table_function(layer)(keras.ops.convert_to_tensor(x, dtype=layer.compute_dtype))
    return to_numpy(y).reshape(len(inputs), -1).T


def table_steps(call: LayerCall, layer: Any, part: str, shape: tuple[int, ...], sparse: bool = False) -> list[Step]:
    """Input quantizer, index and lookup of a `QUnaryFunctionLUT`.

    Args:
        call: the layer that owns the table.
        layer: the table's layer.
        part: prefix of the parts' names, empty or `exp_`.
        shape: shape of one sample.
        sparse: whether it is applied to the features of pixels.
    """
    if not layer.enable_iq:
        call.refuse(
            "enable_iq=False: the table's inputs have no known format", allowed="enable_iq=True", fix="enable_iq=True"
        )
    form = read_format(layer.iq, f"{call.where}, quantizer '{part}iq'")
    if form is None or form.affine != (1.0, 0.0):
        call.refuse(
            "its input quantizer is a dummy or has an affine part",
            allowed="q_type='kif' or 'kbi' without affine",
            fix="give the table a fixed-point input quantizer",
        )
    lo, hi, frac = _codes(call, form)
    rows = _entries(layer, np.arange(lo, hi + 1) / 2.0**frac, shape)
    if sparse and len(rows) > 1:
        call.refuse(
            "its output quantizer has one width per pixel or channel",
            allowed="one output format on sparse feature maps",
            fix="allow_heterogeneous_table=False",
        )
    return [*quantizer_steps(call, layer.iq, f"{part}iq", len(shape)), _lookup(call, part, rows, (lo, frac), shape)]


def _lookup(call: LayerCall, part: str, rows: Array, form: tuple[int, int], shape: tuple[int, ...]) -> Step:
    """`table[x * 2**frac - lo]`; rows of different elements lie one behind the other.

    Every number has its entry. NaN has none and reads the first one instead of memory beside the table.
    """
    lo, frac = form
    graph, prefix = call.graph, f"{call.name}.{part}"
    table = graph.quantized_constant(f"{prefix}table", rows.reshape(-1))
    factor = graph.constant(f"{prefix}steps", np.array(2.0**frac, dtype=np.float32))
    start = -lo + np.arange(len(rows)) * rows.shape[1]
    offset = graph.constant(f"{prefix}start", start.reshape(shape if len(rows) > 1 else ()).astype(np.float32))
    ends = [
        graph.constant(f"{prefix}{end}", np.array(n, dtype=np.int64))
        for end, n in (("first", 0), ("last", rows.size - 1))
    ]

    def emit(value: Tensor, name: str) -> Tensor:
        (scaled,) = graph.node("Mul", [value.name, factor], [f"{prefix}scaled"])
        (place,) = graph.node("Add", [scaled, offset], [f"{prefix}place"])
        (code,) = graph.node("Cast", [place], [f"{prefix}code"], to=TensorProto.INT64)
        (index,) = graph.node("Clip", [code, *ends], [f"{prefix}index"])
        (result,) = graph.node("Gather", [table, index], [name], axis=0)
        return renamed(value, result)

    return f"{part}lookup", emit


@handler("hgq.layers.QUnaryFunctionLUT", "hgq.layers.QAffinedUnaryFunctionLUT")
def unary_function(call: LayerCall) -> Tensor:
    """An activation as a table. On pixels it may give inactive ones a value, so that a convolution must follow."""
    value, layer = call.single(), call.layer
    if isinstance(value, DenseValue):
        value = call.fixed(value)
        return call.chain(value, table_steps(call, layer, "", value.shape))
    steps = table_steps(call, layer, "", value.shape, sparse=True)
    if not _at_zero(layer):
        return call.chain(value, steps)
    result = call.chain(value, [*steps, masking_step(call, "masked", value.channels)])
    assert isinstance(result, SparseValue)
    return replace(result, filled_by=call.name)


def _at_zero(layer: Any) -> bool:
    """Whether f(0) != 0."""
    return bool((_entries(layer, np.zeros(1), (1, 1, 1)) != 0).any()) or fills(layer.iq)


@handler("hgq.layers.QSoftmax")
def softmax(call: LayerCall) -> Tensor:
    """QSoftmax: exp table, sum, table of the inverse, product; fixed-point throughout."""
    value, layer = call.fixed(call.dense()), call.layer
    rank = len(value.shape)
    axes = call.graph.constant(f"{call.name}.axes", np.array([a % (rank + 1) for a in layer.axes], dtype=np.int64))
    kept = tuple(1 if n + 1 in [a % (rank + 1) for a in layer.axes] else s for n, s in enumerate(value.shape))

    def reduced(op_type: str, source: Tensor, part: str) -> DenseValue:
        (name,) = call.graph.node(op_type, [source.name, axes], [f"{call.name}.{part}"], keepdims=1)
        return DenseValue(name, kept)

    start = call.parts(value, quantizer_steps(call, layer.iq, "iq", rank)) if layer.enable_iq else value
    if layer.stable:
        highest = reduced("ReduceMax", start, "highest")
        (name,) = call.graph.node("Sub", [highest.name, start.name], [f"{call.name}.distance"])
        start = DenseValue(name, value.shape)
    powers = call.parts(start, table_steps(call, layer.exp_table, "exp_", value.shape))
    total = reduced("ReduceSum", powers, "sum")
    inverse = call.parts(total, table_steps(call, layer.inv_table, "inv_", kept))

    def product(source: Tensor, name: str) -> Tensor:
        (result,) = call.graph.node("Mul", [source.name, inverse.name], [name])
        return DenseValue(result, value.shape)

    last: list[Step] = [("product", product)]
    if layer.enable_oq:
        last += quantizer_steps(call, layer.oq, "oq", rank)
    return call.chain(powers, last)
