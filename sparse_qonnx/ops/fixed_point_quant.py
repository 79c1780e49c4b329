"""FixedPointQuant: every fixed-point quantizer, per-pixel formats and wrapping included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import FunctionProto, NodeProto
from qonnx.core.datatype import BaseDataType, DataType

from sparse_qonnx.errors import InputDataError, PrecisionError
from sparse_qonnx.fixed import OverflowMode, QuantizerFormat, RoundingMode, quantize
from sparse_qonnx.grid import Grid, NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.integers import powers_of_two
from sparse_qonnx.ops._base import Array, Attribute, Port, Shape, SparseOp, parse_function, scalar_datatype, select
from sparse_qonnx.ops._quantizer import quantizer_call, quotient_bits
from sparse_qonnx.ops.sparse_to_dense import check_coords
from sparse_qonnx.quantized import quantized_limits

# Statements that round {x} to integers, one a mode; `half` is 0.5.
_ROUNDINGS = {
    RoundingMode.TRN: "{out} = Floor ({x})",
    RoundingMode.RND: "{out}_h = Add ({x}, half) {out} = Floor ({out}_h)",
    RoundingMode.RND_CONV: "{out} = Round ({x})",
    RoundingMode.TRN_ZERO: "{out}_a = Abs ({x}) {out}_f = Floor ({out}_a) {out}_s = Sign ({x}) "
    "{out} = Mul ({out}_f, {out}_s)",
    RoundingMode.RND_ZERO: "{out}_a = Abs ({x}) {out}_h = Sub (half, {out}_a) {out}_f = Floor ({out}_h) "
    "{out}_n = Neg ({out}_f) {out}_s = Sign ({x}) {out} = Mul ({out}_n, {out}_s)",
    RoundingMode.RND_MIN_INF: "{out}_h = Sub (half, {x}) {out}_f = Floor ({out}_h) {out} = Neg ({out}_f)",
    RoundingMode.RND_INF: "{out}_a = Abs ({x}) {out}_h = Add ({out}_a, half) {out}_f = Floor ({out}_h) "
    "{out}_s = Sign ({x}) {out} = Mul ({out}_f, {out}_s)",
}

_FLOOR_MOD = "{r}_q = Div ({x}, {m}) {r}_w = Floor ({r}_q) {r}_b = Mul ({r}_w, {m}) {r} = Sub ({x}, {r}_b) "


def _floor_mod(result: str, x: str, modulus: str) -> str:
    return _FLOOR_MOD.replace("{r}", result).replace("{x}", x).replace("{m}", modulus)


# Statements that bring `rounded` (or, in two modes, `x` before it was rounded) into range.
_OVERFLOWS = {
    OverflowMode.SAT: "{out} = Identity (rounded)",
    OverflowMode.SAT_SYM: "{out} = Identity (rounded)",
    OverflowMode.WRAP: "{out}_ik = Add (i, k) {out}_m = Pow (two, {out}_ik) {out}_i1 = Sub ({out}_ik, one) "
    "{out}_p = Pow (two, {out}_i1) {out}_bias = Mul (k, {out}_p) {out}_t = Add (rounded, {out}_bias) "
    + _floor_mod("{out}_r", "{out}_t", "{out}_m")
    + "{out} = Sub ({out}_r, {out}_bias)",
    OverflowMode.WRAP_SM: "{out}_ik = Add (i, k) {out}_interval = Pow (two, {out}_ik) "
    "{out}_he = Add (high, eps) {out}_hk = Mul ({out}_he, k) {out}_low = Neg ({out}_hk) "
    "{out}_x1 = Div (x, {out}_interval) "
    + _floor_mod("{out}_p1", "{out}_x1", "two")
    + "{out}_odd1 = GreaterOrEqual ({out}_p1, one) {out}_ax = Abs (x) {out}_e2 = Mul (eps, half) "
    "{out}_big = Greater ({out}_ax, {out}_e2) {out}_c1 = And ({out}_odd1, {out}_big) "
    "{out}_xe = Add (x, {out}_e2) {out}_hi2 = Mul ({out}_interval, half) {out}_x2 = Div ({out}_xe, {out}_hi2) "
    + _floor_mod("{out}_p2", "{out}_x2", "two")
    + "{out}_c2 = GreaterOrEqual ({out}_p2, one) {out}_d1 = Sub (rounded, high) {out}_d = Sub ({out}_d1, eps) "
    + _floor_mod("{out}_r", "{out}_d", "{out}_interval")
    + "{out}_m0 = Add ({out}_r, {out}_low) {out}_n0 = Neg ({out}_m0) {out}_f0 = Sub ({out}_n0, eps) "
    "{out}_m1 = Where ({out}_c2, {out}_f0, {out}_m0) {out}_n1 = Neg ({out}_m1) {out}_f1 = Sub ({out}_n1, eps) "
    "{out} = Where ({out}_c1, {out}_f1, {out}_m1)",
}

_CONSTANTS = """
   zero_f = Constant <value_float = 0.0> ()
   half_f = Constant <value_float = 0.5> ()
   one_f = Constant <value_float = 1.0> ()
   two_f = Constant <value_float = 2.0> ()
   zero = CastLike (zero_f, x)
   half = CastLike (half_f, x)
   one = CastLike (one_f, x)
   two = CastLike (two_f, x)
"""

_ARITHMETIC = """
   k_i = Add (k, integer)
   width = Add (k_i, f)
   live = Greater (width, zero)
   minus_f = Neg (f)
   i = Max (integer, minus_f)
   scale = Pow (two, f)
   eps = Pow (two, minus_f)
   whole = Pow (two, i)
   high = Sub (whole, eps)
   is_symmetric = Equal (overflow, name_SAT_SYM)
   reach = Where (is_symmetric, high, whole)
   reach_k = Mul (k, reach)
   low = Neg (reach_k)
   is_sat = Equal (overflow, name_SAT)
   saturates = Or (is_sat, is_symmetric)
   above = Greater (x, high)
   below = Less (x, low)
   not_below = Where (below, low, x)
   inside = Where (above, high, not_below)
   limited = Where (saturates, inside, x)
   scaled = Mul (limited, scale)
"""

NO_COORDS = np.full((1, 1, 2), -1, dtype=np.int64)
"""Coordinates that mean "there are none": a function body cannot ask whether an optional input is there, and one file
may hold nodes with and without coordinates."""

_LOOKUP = """
   zero_i = Constant <value_int = 0> ()
   one_i = Constant <value_int = 1> ()
   rank_3 = Constant <value_ints = [1, 1, 1]> ()
   flat = Constant <value_ints = [-1]> ()
   zero_1d = Constant <value_ints = [0]> ()
   flat_coords = Reshape (coords, flat)
   some_coords = Concat <axis = 0> (flat_coords, zero_1d)
   lowest_coord = ReduceMin <keepdims = 0> (some_coords)
   at_pixels = GreaterOrEqual (lowest_coord, zero_i)
"""


def _lookup(result: str, source: str) -> str:
    """ONNX text: `result` is the map `source` at the pixels, or `source` itself where there are no coords."""
    gather = (
        f"{result}_m = Expand ({source}, rank_3) {result}_s = Shape <start = 0, end = 2> ({result}_m) "
        f"{result}_l = Sub ({result}_s, one_i) {result}_b = Sub (coords, one_i) {result}_n = Max ({result}_b, zero_i) "
        f"{result}_p = Min ({result}_n, {result}_l) {{out}} = GatherND ({result}_m, {result}_p)"
    )
    return select(f"{result}_x", [("at_pixels", gather)], f"{{out}} = Identity ({source})") + (
        f"\n   {result} = CastLike ({result}_x, x)"
    )


def _names(kind: type[RoundingMode] | type[OverflowMode]) -> str:
    return "\n".join(f'   name_{m.value} = Constant <value_string = "{m.value}"> ()' for m in kind)


def _body(with_coords: bool) -> str:
    modes = f"""
   rounding = Constant <value_string: string = @rounding_mode> ()
   overflow = Constant <value_string: string = @overflow_mode> ()
{_names(RoundingMode)}
{_names(OverflowMode)}
"""
    questions = "\n".join(
        f"   is_{name.lower()}_{m.value} = Equal ({name}, name_{m.value})"
        for name, kind in (("rounding", RoundingMode), ("overflow", OverflowMode))
        for m in kind
    )
    default = RoundingMode.TRN
    rounding_cases = [
        (f"is_rounding_{m.value}", text.replace("{x}", "scaled")) for m, text in _ROUNDINGS.items() if m is not default
    ]
    overflow_cases = [(f"is_overflow_{m.value}", _OVERFLOWS[m]) for m in (OverflowMode.WRAP, OverflowMode.WRAP_SM)]
    sources = {"k": "signed", "integer": "integer_bits", "f": "fractional_bits"}
    if with_coords:
        parameters = _LOOKUP + "\n".join("   " + _lookup(r, s) for r, s in sources.items())
        active_bool = (
            "{out}_t = Greater (coords, zero_i) {out}_i = Cast <to = 7> ({out}_t) "
            "{out}_a = Constant <value_ints = [2]> () "
            "{out}_m = ReduceMax <keepdims = 1> ({out}_i, {out}_a) {out} = CastLike ({out}_m, x)"
        )
        masked = select("occupied", [("at_pixels", active_bool)], "{out} = Identity (one)")
        ending = f"   {masked}\n   there = Greater (occupied, zero)\n   kept = And (live, there)\n"
    else:
        parameters = "\n".join(f"   {r} = CastLike ({s}, x)" for r, s in sources.items())
        ending = "   kept = Identity (live)\n"
    return f"""
FixedPointQuant <rounding_mode = "RND", overflow_mode = "WRAP">
   (x, signed, integer_bits, fractional_bits{", coords" if with_coords else ""}) => (y)
{{
{_CONSTANTS}{modes}{questions}
{parameters}
{_ARITHMETIC}
   {select("whole_steps", rounding_cases, _ROUNDINGS[default].replace("{x}", "scaled"))}
   rounded = Div (whole_steps, scale)
   {select("in_range", overflow_cases, _OVERFLOWS[OverflowMode.SAT])}
{ending}
   y = Where (kept, in_range, zero)
}}
"""


class FixedPointQuant(SparseOp):
    """Quantization to fixed point, with the rounding and overflow modes of `ap_fixed`."""

    doc = (
        "Rounds to the grid of step 2**-fractional_bits and brings values into the range of integer_bits (sign not "
        "counted). The three parameters broadcast against `x`; with `coords` they are maps `[H, W, C]` (dimensions "
        "may be 1) read at each slot's pixel. A width of zero or fewer bits gives 0."
    )
    attributes = (
        Attribute("rounding_mode", "s", "rounding", "RND", frozenset(m.value for m in RoundingMode)),
        Attribute("overflow_mode", "s", "overflow", "WRAP", frozenset(m.value for m in OverflowMode)),
    )
    inputs = (
        Port("x", "any, or [B, N, C] with coords", "values"),
        Port("signed", "broadcasts", "1 keeps negative values"),
        Port("integer_bits", "broadcasts", "bits left of the point, without the sign; may be negative"),
        Port("fractional_bits", "broadcasts", "bits right of the point; may be negative"),
        Port("coords", "[B, N, 2]", "places of the slots; the single pair (-1, -1) counts as absent", True, True),
    )
    outputs = (Port("y", "shape of x", "quantized values"),)

    @classmethod
    def compute(cls, *inputs: Array | None, **attributes: Any) -> tuple[Array, ...]:
        x, *parameters = inputs
        assert x is not None
        coords = parameters[3] if len(parameters) > 3 else None
        k, i, f = (np.asarray(p) for p in parameters[:3])
        if coords is None or np.array_equal(coords, NO_COORDS):
            return (quantize(x, k, i, f, **attributes),)
        spatial = np.max([_as_map(p).shape[:2] for p in (k, i, f)], axis=0)
        limits = tuple(n if n > 1 else np.iinfo(np.int64).max for n in spatial)
        check_coords("FixedPointQuant", coords, limits)
        k, i, f = (_at_pixels(p, coords) for p in (k, i, f))
        y = quantize(x, k, i, f, **attributes)
        return (np.where(coords.any(axis=2, keepdims=True), y, x.dtype.type(0)),)

    @classmethod
    def output_shapes(cls, shapes: Sequence[Shape], attributes: dict[str, Any]) -> tuple[Shape, ...]:
        return (shapes[0],)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        k, i, f = (_parameter(node, position) for position in (1, 2, 3))
        source, rank = node.grids[0], len(node.shapes[0]) - 1
        rounding, overflow = (
            RoundingMode(node.attributes["rounding_mode"]),
            OverflowMode(node.attributes["overflow_mode"]),
        )
        at_pixels = _reads_pixels(node)
        if at_pixels and rank != 2:
            return NodeProof((None,))
        k, i, f = (_as_map(p) if at_pixels else _of_one_sample(p, rank) for p in (k, i, f))
        out = _quantized_grid(source, (k, i, f), rounding, overflow, rank, at_pixels)
        out = out.occupied(None if source is None else source.occupancy)
        powers = np.concatenate([np.abs(p) for p in _live((k, i, f))[1:]])
        bits = _bits_on_the_way(source, (k, i, f), overflow, out)
        return NodeProof((out,), bits, exponent=int(powers.max(initial=0)) + 1)

    @classmethod
    def quantizer_format(cls, node: NodeContext) -> QuantizerFormat | None:
        k, i, f = (_parameter(node, position) for position in (1, 2, 3))
        modes = RoundingMode(node.attributes["rounding_mode"]), OverflowMode(node.attributes["overflow_mode"])
        return QuantizerFormat(k, i, f, *modes, at_pixels=_reads_pixels(node))

    @classmethod
    def output_datatypes(cls, datatypes: Sequence[BaseDataType], node: NodeProto, model: Any) -> list[BaseDataType]:
        k, i, f = (model.get_initializer(name) for name in node.input[1:4])
        if any(p is None for p in (k, i, f)):
            return [DataType["FLOAT32"]]
        signed, integer, frac = bool(np.max(k)), int(np.max(i)), int(np.max(f))
        return [scalar_datatype(signed, int(signed) + integer + frac, int(signed) + integer)]

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        source, out = node.grids[0], proof.outputs[0]
        assert source is not None and out is not None
        form = cls.quantizer_format(node)
        assert form is not None
        parameters = form.signed, form.integer_bits, form.fractional_bits
        return quantizer_call(
            node, source, parameters, (form.rounding, form.overflow), out, 4 if form.at_pixels else None
        )

    @classmethod
    def function(cls, nodes: Sequence[NodeProto] = ()) -> FunctionProto:
        """The body; without the input `coords` where none of the given nodes has it."""
        return parse_function(_body(not nodes or any(len(node.input) > 4 for node in nodes)))


def _reads_pixels(node: NodeContext) -> bool:
    """Whether coordinates are given, and not as the constant that stands for none."""
    return len(node.constants) > 4 and node.constants[4] is None and len(node.shapes[4]) == 3


def _at_pixels(values: Array, coords: Array) -> Array:
    """The map `[H, W, C]` at each slot, `[B, N, C]`; an axis of length 1 stands for all its positions.

    Empty slots get the format of some pixel.
    """
    values = _as_map(values)
    place = np.minimum(coords, values.shape[:2]) - 1
    found: Array = values[place[..., 0], place[..., 1]]
    return found


def _as_map(values: Array) -> Array:
    """With three dimensions: those that are missing have length 1."""
    return values.reshape((1,) * (3 - values.ndim) + values.shape)


def _parameter(node: NodeContext, position: int) -> Array:
    value = node.constants[position]
    name = FixedPointQuant.inputs[position].name
    if value is None:
        raise PrecisionError(node.where, f"input {name!r} is not a constant", fix="store it as an initializer")
    if not np.isfinite(value).all() or (value != np.round(value)).any() or (np.abs(value) > 128).any():
        raise InputDataError(node.where, f"input {name!r} holds values that are no bit counts", allowed="-128 to 128")
    return np.asarray(value, dtype=np.int64)


def _of_one_sample(values: Array, rank: int) -> Array:
    """The parameter without the batch dimension it may broadcast over."""
    return values.squeeze(axis=0) if values.ndim > rank and len(values) == 1 else values


def _quantized_grid(
    source: Grid | None,
    formats: tuple[Array, Array, Array],
    rounding: RoundingMode,
    overflow: OverflowMode,
    rank: int,
    at_pixels: bool,
) -> Grid:
    """Limits after the quantizer: per element of the broadcast, per channel where the format is read at pixels."""
    _, _, f_live = _live(formats)
    step_frac = int(f_live.max()) if f_live.size else 0
    # only formats without bits, which give 0, are finer than the result
    finer = powers_of_two(np.maximum(step_frac - formats[2], 0))
    lo, hi = (limit * finer for limit in quantized_limits(source, formats, rounding, overflow))
    lo, hi = (a.reshape((1,) * (rank - a.ndim) + a.shape) for a in (lo, hi))
    if at_pixels:
        lo, hi = lo.min(axis=(0, 1))[None], hi.max(axis=(0, 1))[None]
    return Grid(lo, hi, step_frac).with_zero()


def _live(formats: tuple[Array, Array, Array]) -> tuple[Array, ...]:
    """Sign, integer and fractional bits, `[n]`, of those elements that keep any bit."""
    k, i, f = np.broadcast_arrays(*formats)
    live = k + i + f > 0
    return k[live], i[live], f[live]


def _bits_on_the_way(
    source: Grid | None, formats: tuple[Array, Array, Array], overflow: OverflowMode, out: Grid
) -> int:
    """Significand bits that make every intermediate of `fixed.quantize` exact.

    A rounding adds half a step, a wrap the offset of the range; a quotient is rounded itself, see `quotient_bits`.
    """
    k, i, f = _live(formats)
    if source is None or not f.size:
        return max(out.bits, 0 if source is None else source.bits)
    wraps = overflow not in (OverflowMode.SAT, OverflowMode.SAT_SYM)
    stepped = source.bits + max(0, int(f.max()) - source.frac)
    if source.divisor != 1:
        around = max(stepped, int((k + i + f).max())) + int(k.max()) if wraps else 0
        return max(quotient_bits(source, i, f, saturates=not wraps), around, out.bits)
    if not wraps:
        stepped = min(stepped, int((i + np.maximum(f, source.frac)).max()))
    else:
        stepped = max(stepped, int((k + i + f).max())) + 1
    return max(source.bits, stepped + 1, out.bits)
