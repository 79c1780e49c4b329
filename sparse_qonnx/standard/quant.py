"""qonnx's `Quant`: uniform quantization with one bit width per tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import FunctionProto, NodeProto

from sparse_qonnx.fixed import OverflowMode, QuantizerFormat, RoundingMode
from sparse_qonnx.grid import Grid, NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.ops._base import Attribute, parse_function, read_attributes, select
from sparse_qonnx.ops._quantizer import quantizer_call, quotient_bits
from sparse_qonnx.quantized import quantized_limits
from sparse_qonnx.standard._base import StandardOp

Array = NDArray[Any]

ROUNDING_NAMES: dict[RoundingMode, str] = {
    RoundingMode.RND_CONV: "ROUND",
    RoundingMode.RND_INF: "HALF_UP",
    RoundingMode.RND_ZERO: "HALF_DOWN",
    RoundingMode.TRN: "FLOOR",
    RoundingMode.TRN_ZERO: "DOWN",
}
"""qonnx's name of each rounding mode that it has; its `CEIL` and `UP` have no counterpart here."""

_WIDEST = 64
"""Bits of the widest quantizer with a grid: far beyond what float32 holds."""

_MODES = {name: mode for mode, name in ROUNDING_NAMES.items()} | {"HALF_EVEN": RoundingMode.RND_CONV}

_ROUNDINGS = {
    "HALF_UP": "{out}_a = Abs (limited) {out}_h = Add ({out}_a, half) {out}_f = Floor ({out}_h) "
    "{out}_s = Sign (limited) {out} = Mul ({out}_s, {out}_f)",
    "HALF_DOWN": "{out}_a = Abs (limited) {out}_h = Sub ({out}_a, half) {out}_f = Ceil ({out}_h) "
    "{out}_s = Sign (limited) {out} = Mul ({out}_s, {out}_f)",
    "FLOOR": "{out} = Floor (limited)",
    "CEIL": "{out} = Ceil (limited)",
    "UP": "{out}_a = Abs (limited) {out}_f = Ceil ({out}_a) {out}_s = Sign (limited) {out} = Mul ({out}_s, {out}_f)",
    "DOWN": "{out}_a = Abs (limited) {out}_f = Floor ({out}_a) {out}_s = Sign (limited) {out} = Mul ({out}_s, {out}_f)",
}

_BODY = """
Quant <signed, narrow, rounding_mode = "ROUND"> (x, scale, zero_point, bit_width) => (y)
{
   zero = Constant <value_float = 0.0> ()
   half = Constant <value_float = 0.5> ()
   one = Constant <value_float = 1.0> ()
   two = Constant <value_float = 2.0> ()
   signed_i = Constant <value_int: int = @signed> ()
   narrow_i = Constant <value_int: int = @narrow> ()
   is_signed = Cast <to = 9> (signed_i)
   is_narrow = Cast <to = 9> (narrow_i)
   narrow_f = Cast <to = 1> (narrow_i)
   mode = Constant <value_string: string = @rounding_mode> ()
   bits_less_1 = Sub (bit_width, one)
   half_range = Pow (two, bits_less_1)
   whole_range = Pow (two, bit_width)
   top_signed = Sub (half_range, one)
   top_whole = Sub (whole_range, one)
   top_unsigned = Sub (top_whole, narrow_f)
   top = Where (is_signed, top_signed, top_unsigned)
   minus_half_range = Neg (half_range)
   bottom_signed = Add (minus_half_range, narrow_f)
   bottom = Where (is_signed, bottom_signed, zero)
   steps_0 = Div (x, scale)
   steps = Add (steps_0, zero_point)
   above = Greater (steps, top)
   below = Less (steps, bottom)
   not_below = Where (below, bottom, steps)
   limited = Where (above, top, not_below)
   MODES
   ROUND_SELECT
   is_one_bit = Equal (bit_width, one)
   is_bipolar = And (is_one_bit, is_signed)
   positive = GreaterOrEqual (steps, zero)
   minus_one = Neg (one)
   bipolar = Where (positive, one, minus_one)
   levels = Where (is_bipolar, bipolar, rounded)
   shifted = Sub (levels, zero_point)
   y = Mul (shifted, scale)
}
"""


class Quant(StandardOp):
    """`qonnx.custom_op.general::Quant`; qonnx computes it in float32 whatever it is given."""

    domain = "qonnx.custom_op.general"
    attributes = (
        Attribute("signed", "i", "1 keeps negative values", least=0, most=1),
        Attribute("narrow", "i", "1 leaves the lowest value out", 0, least=0, most=1),
        Attribute("rounding_mode", "s", "rounding", "ROUND", frozenset({"ROUND", "HALF_EVEN", *_ROUNDINGS})),
    )

    @classmethod
    def read_attributes(cls, node: NodeProto) -> dict[str, Any]:
        """Attribute values of a node, defaults filled in.

        Raises:
            UnsupportedNodeError: for an unknown or missing attribute, or one of another type.
        """
        return read_attributes(cls.attributes, node)

    @classmethod
    def quantizer_format(cls, node: NodeContext) -> QuantizerFormat | None:
        k, narrow = bool(node.attributes["signed"]), bool(node.attributes.get("narrow", 0))
        mode, found = _MODES.get(node.attributes.get("rounding_mode", "ROUND")), _bits(node)
        if found is None or mode is None or (narrow and not k):
            return None
        frac, width = found
        if width == 1 and k:  # qonnx's bipolar
            return None
        signed, integer, fractional = (np.array(int(v)) for v in (k, width - frac - k, frac))
        overflow = OverflowMode.SAT_SYM if narrow else OverflowMode.SAT
        return QuantizerFormat(signed, integer, fractional, mode, overflow)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        form = cls.quantizer_format(node)
        if form is None:
            return NodeProof((None,))
        source = node.grids[0]
        if node.constants[0] is not None:  # weights: every element is its own interval
            parameters = [p for p in node.constants[1:4] if p is not None]
            values = quant(node.constants[0], *parameters, **node.attributes)
            is_same = source is not None and np.array_equal(values, node.constants[0])
            exact = source if source is not None and is_same else Grid.of_constant(values, where=node.where)
            return NodeProof((exact,), exact.bits)
        out = _quantized(source, form, len(node.shapes[0]) - 1)
        if source is None:
            return NodeProof((out,), out.bits)
        needed = source.bits
        if source.divisor != 1:
            needed = quotient_bits(source, np.ravel(form.integer_bits), np.ravel(form.fractional_bits), saturates=True)
        return NodeProof((out.occupied(source.occupancy),), max(out.bits, needed))

    @classmethod
    def function(cls, nodes: Sequence[NodeProto] = ()) -> FunctionProto:
        names = "\n".join(
            f'   name_{n} = Constant <value_string = "{n}"> () is_{n} = Equal (mode, name_{n})' for n in _ROUNDINGS
        )
        cases = [(f"is_{n}", text) for n, text in _ROUNDINGS.items()]
        body = _BODY.replace("MODES", names)
        body = body.replace("ROUND_SELECT", select("rounded", cases, "{out} = Round (limited)"))
        return parse_function(body, cls.domain)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        source, out = node.grids[0], proof.outputs[0]
        assert source is not None and out is not None
        form = cls.quantizer_format(node)
        assert form is not None, "a quantizer with a grid has a format"
        formats = form.signed, form.integer_bits, form.fractional_bits
        return quantizer_call(node, source, formats, (form.rounding, form.overflow), out)


def _bits(node: NodeContext) -> tuple[int, int] | None:
    """Fractional bits and width, where scale and width are one power of two and one count, and the zero point is 0."""
    parameters = [np.asarray(p, dtype=np.float64).reshape(-1) for p in node.constants[1:4] if p is not None]
    if len(parameters) != 3 or any(p.size != 1 or not np.isfinite(p).all() for p in (parameters[0], parameters[2])):
        return None
    (scale,), zero_point, (width,) = parameters
    mantissa, exponent = np.frexp(scale)
    if mantissa != 0.5 or zero_point.any() or width != int(width) or not 1 <= width <= _WIDEST:
        return None
    return 1 - int(exponent), int(width)


def quant(x: Array, scale: Array, zero_point: Array, bit_width: Array, **attributes: Any) -> Array:
    """NumPy reference of the whole operator, in float32 as qonnx has it."""
    from qonnx.custom_op.general.intquant import int_quant

    mode = attributes.get("rounding_mode", "ROUND")
    signed, narrow = bool(attributes["signed"]), bool(attributes.get("narrow", 0))
    result = int_quant(x, scale, zero_point, np.asarray(bit_width), signed, narrow, mode)
    return np.asarray(result, dtype=np.float32)


def _quantized(source: Grid | None, form: QuantizerFormat, rank: int) -> Grid:
    formats = form.signed, form.integer_bits, form.fractional_bits
    lo, hi = quantized_limits(source, formats, form.rounding, form.overflow)
    if source is None:
        lo, hi = (a.reshape((1,) * rank) for a in (lo, hi))
    return Grid(lo, hi, int(form.fractional_bits))
