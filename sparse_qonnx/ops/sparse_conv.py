"""SparseConv: a convolution whose outputs live on the pixels of its inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import FunctionProto, NodeProto
from qonnx.core.datatype import BaseDataType

from sparse_qonnx.errors import InputDataError
from sparse_qonnx.grid import Grid, NodeContext, NodeProof, bound, common_grid, products
from sparse_qonnx.hlscall import HlsCall, HlsTable, numerators, sample_shape
from sparse_qonnx.ops._base import (
    Array,
    Attribute,
    Port,
    Shape,
    SparseOp,
    check_rank,
    parse_function,
    sample_values,
    stated_datatype,
)
from sparse_qonnx.scaling import Operand

# A canvas that spans the occupied rows and columns holds the slot of each pixel (n_slots = no pixel); every output
# gathers its neighbours' slots from it. Work grows with N · kernel and the canvas, never with N².
# A Gemm reads the optional bias: it is the standard operator whose third input may be missing.
_BODY = """
SparseConv <kernel_shape, dilations = [1, 1], group = 1> (features, coords, W, bias) => (Y)
{
   zero = Constant <value_int = 0> ()
   one = Constant <value_int = 1> ()
   two = Constant <value_int = 2> ()
   one_dim = Constant <value_ints = [-1]> ()
   axis_0 = Constant <value_ints = [0]> ()
   axis_1 = Constant <value_ints = [1]> ()
   batch = Shape <start = 0, end = 1> (features)
   n_slots = Shape <start = 1, end = 2> (features)
   channels = Shape <start = 2, end = 3> (features)
   filters = Shape <start = 0, end = 1> (W)
   kernel = Constant <value_ints: ints = @kernel_shape> ()
   dilation = Constant <value_ints: ints = @dilations> ()
   groups_s = Constant <value_int: int = @group> ()
   groups = Reshape (groups_s, one_dim)
   kernel_less_1 = Sub (kernel, one)
   reach = Mul (kernel_less_1, dilation)
   pad_before = Div (reach, two)
   pair_shape = Constant <value_ints = [-1, 2]> ()
   flat_coords = Reshape (coords, pair_shape)
   origin = Constant <value_ints = [0, 0]> ()
   origin_row = Unsqueeze (origin, axis_0)
   with_origin = Concat <axis = 0> (flat_coords, origin_row)
   extent = ReduceMax <keepdims = 0> (with_origin, axis_0)
   extent_1 = Add (extent, one)
   canvas_size = Add (extent_1, reach)
   canvas_height, canvas_width = Split <axis = 0, num_outputs = 2> (canvas_size)
   canvas_pixels = Mul (canvas_height, canvas_width)
   canvas_dims = Concat <axis = 0> (batch, canvas_pixels)
   row_active = Greater (coords, zero)
   active_i = Cast <to = 7> (row_active)
   axis_last = Constant <value_ints = [2]> ()
   active_n = ReduceMax <keepdims = 1> (active_i, axis_last)
   active = Greater (active_n, zero)
   active_2d = Squeeze (active, axis_last)
   shifted = Add (coords, pad_before)
   row, column = Split <axis = 2, num_outputs = 2> (shifted)
   row_start = Mul (row, canvas_width)
   place_1 = Add (row_start, column)
   place = Squeeze (place_1, axis_last)
   dump = Where (active_2d, place, zero)
   n_slots_s = Squeeze (n_slots, axis_0)
   slots_r = Range (zero, n_slots_s, one)
   slots_1 = Unsqueeze (slots_r, axis_0)
   place_shape = Shape (place)
   slots_all = Expand (slots_1, place_shape)
   slots = Where (active_2d, slots_all, n_slots)
   empty_canvas = Expand (n_slots, canvas_dims)
   canvas = ScatterElements <axis = 1> (empty_canvas, dump, slots)
   kernel_height, kernel_width = Split <axis = 0, num_outputs = 2> (kernel)
   dilation_row, dilation_column = Split <axis = 0, num_outputs = 2> (dilation)
   kernel_height_s = Squeeze (kernel_height, axis_0)
   kernel_width_s = Squeeze (kernel_width, axis_0)
   tap_rows_r = Range (zero, kernel_height_s, one)
   tap_columns_r = Range (zero, kernel_width_s, one)
   tap_rows = Mul (tap_rows_r, dilation_row)
   tap_columns = Mul (tap_columns_r, dilation_column)
   tap_row_start = Mul (tap_rows, canvas_width)
   tap_row_2d = Unsqueeze (tap_row_start, axis_1)
   tap_offsets_2d = Add (tap_row_2d, tap_columns)
   tap_offsets = Reshape (tap_offsets_2d, one_dim)
   pad_row, pad_column = Split <axis = 0, num_outputs = 2> (pad_before)
   corner_shift_a = Mul (pad_row, canvas_width)
   corner_shift = Add (corner_shift_a, pad_column)
   corner_0 = Sub (place, corner_shift)
   corner = Where (active_2d, corner_0, zero)
   corner_1 = Unsqueeze (corner, axis_last)
   tap_places = Add (corner_1, tap_offsets)
   n_taps = Size (tap_offsets)
   taps_per_event = Mul (n_slots, n_taps)
   taps_2d_shape = Concat <axis = 0> (batch, taps_per_event)
   tap_places_2d = Reshape <allowzero = 1> (tap_places, taps_2d_shape)
   neighbours = GatherElements <axis = 1> (canvas, tap_places_2d)
   neighbours_1 = Unsqueeze (neighbours, axis_last)
   row_of_zeros_shape = Concat <axis = 0> (batch, axis_1, channels)
   zero_f = Constant <value_float = 0.0> ()
   zero_x = CastLike (zero_f, features)
   row_of_zeros = Expand (zero_x, row_of_zeros_shape)
   padded = Concat <axis = 1> (features, row_of_zeros)
   gathered = GatherND <batch_dims = 1> (padded, neighbours_1)
   rows = Mul (batch, n_slots)
   n_taps_1 = Reshape (n_taps, one_dim)
   group_channels = Div (channels, groups)
   group_filters = Div (filters, groups)
   patch_shape = Concat <axis = 0> (rows, n_taps_1, groups, group_channels)
   patches_4d = Reshape <allowzero = 1> (gathered, patch_shape)
   patches_t = Transpose <perm = [2, 0, 1, 3]> (patches_4d)
   group_inputs = Mul (n_taps_1, group_channels)
   patches_shape = Concat <axis = 0> (groups, rows, group_inputs)
   patches = Reshape <allowzero = 1> (patches_t, patches_shape)
   weight_shape = Concat <axis = 0> (groups, group_filters, group_channels, n_taps_1)
   weights_4d = Reshape (W, weight_shape)
   weights_t = Transpose <perm = [0, 3, 2, 1]> (weights_4d)
   weights_shape = Concat <axis = 0> (groups, group_inputs, group_filters)
   weights = Reshape (weights_t, weights_shape)
   sums_g = MatMul (patches, weights)
   sums_t = Transpose <perm = [1, 0, 2]> (sums_g)
   out_shape = Concat <axis = 0> (batch, n_slots, filters)
   sums = Reshape <allowzero = 1> (sums_t, out_shape)
   gemm_a_shape = Constant <value_ints = [1, 1]> ()
   gemm_a = Expand (zero_x, gemm_a_shape)
   gemm_b_shape = Concat <axis = 0> (axis_1, filters)
   gemm_b = Expand (zero_x, gemm_b_shape)
   bias_or_0 = Gemm (gemm_a, gemm_b, bias)
   is_zero = Equal (sums, zero_x)
   biased = Add (sums, bias_or_0)
   with_bias = Where (is_zero, sums, biased)
   Y = Where (active, with_bias, zero_x)
}
"""


def pads_before(kernel_shape: Sequence[int], dilations: Sequence[int]) -> tuple[int, int]:
    """Rows above and columns left of the centre that "same" padding adds; the rest goes below and right."""
    (kh, kw), (dh, dw) = kernel_shape, dilations
    return (kh - 1) * dh // 2, (kw - 1) * dw // 2


class _Places:
    """The active slots of a batch by coordinate, so that no slot is compared with every other.

    Args:
        coords: `[B, N, 2]`.
    """

    def __init__(self, coords: Array) -> None:
        self.event, self.slot = np.nonzero(coords.any(axis=2))
        self.at = coords[self.event, self.slot]
        self.axes = tuple(np.unique(numbers) for numbers in self.at.T)
        keys, _ = self._keys(self.at)
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]

    def _keys(self, at: Array) -> tuple[Array, Array]:
        """A number for every coordinate, by event, row and column, and whether any slot has such a row and column."""
        keys, known = self.event, np.ones(len(at), dtype=bool)
        for numbers, wanted in zip(self.axes, at.T, strict=True):
            rank = np.minimum(np.searchsorted(numbers, wanted), len(numbers) - 1)
            known &= numbers[rank] == wanted
            keys = keys * len(numbers) + rank
        return keys, known

    def neighbours(self, step: tuple[int, int]) -> tuple[Array, Array, Array]:
        """Event, slot, and slot of the pixel `step` away, wherever there is one; in the order of the slots."""
        if not len(self.at):
            return self.event, self.slot, self.slot
        keys, known = self._keys(self.at + np.array(step))
        place = np.searchsorted(self.keys, keys, side="right") - 1
        known &= self.keys[place] == keys
        return self.event[known], self.slot[known], self.slot[self.order[place[known]]]


class SparseConv(SparseOp):
    """Stride 1, "same" padding, outputs on the coordinates of the inputs."""

    doc = (
        "Convolution on the active pixels: `Y[b, i, f]` sums `W[f, c, dy, dx] * features[b, j, c]` over the kernel "
        "taps and channels, slot j being the one at `coords[b, i] + (dy, dx) * dilations - pads_before`. The bias is "
        "added only where that filter's sum is not 0. Empty slots give 0."
    )
    attributes = (
        Attribute("kernel_shape", "ints", "rows and columns of the kernel"),
        Attribute("dilations", "ints", "distance between taps, rows and columns", (1, 1)),
        Attribute("group", "i", "channel groups, as in ONNX Conv", 1),
    )
    inputs = (
        Port("features", "[B, N, C]", "values of the pixels"),
        Port("coords", "[B, N, 2]", "their places", is_coordinates=True),
        Port("W", "[F, C/group, kh, kw]", "weights"),
        Port("bias", "[F]", "bias", optional=True),
    )
    outputs = (Port("Y", "[B, N, F]", "sums, on the same coords"),)
    operands = (Operand.FACTOR, Operand.VALUE, Operand.FACTOR, Operand.ADDEND)
    asks_for_zero = True

    @classmethod
    def compute(cls, *inputs: Array | None, **attributes: Any) -> tuple[Array, ...]:
        features, coords, weights, bias = (*inputs, None)[:4]
        assert features is not None and coords is not None and weights is not None
        check_rank("SparseConv", "features", features, 3, "[B, N, C]")
        check_rank("SparseConv", "W", weights, 4, "[F, C/group, kh, kw]")
        batch, n, channels = features.shape
        filters, group_channels, kh, kw = weights.shape
        dilations, group = attributes["dilations"], attributes["group"]
        if channels != group_channels * group or filters % group or (kh, kw) != tuple(attributes["kernel_shape"]):
            problem = f"features {list(features.shape)}, W {list(weights.shape)}, group {group} do not fit together"
            raise InputDataError("SparseConv", problem, allowed="C = W.shape[1] * group, F a multiple of group")
        top, left = pads_before((kh, kw), dilations)
        active: Array = np.any(coords, axis=2)
        places = _Places(coords)
        sums = np.zeros((batch, n, filters), dtype=features.dtype)
        for dy, dx in np.ndindex(kh, kw):
            event, i, j = places.neighbours((dy * dilations[0] - top, dx * dilations[1] - left))
            for g in range(group):
                inputs_g = slice(g * group_channels, (g + 1) * group_channels)
                filters_g = slice(g * filters // group, (g + 1) * filters // group)
                # a pixel has at most one neighbour per tap, so plain indexing adds each product once
                sums[event, i, filters_g] += features[event, j, inputs_g] @ weights[filters_g, :, dy, dx].T
        if bias is not None:
            sums = np.where(sums != 0, sums + bias, sums)
        return (np.where(active[:, :, None], sums, features.dtype.type(0)),)

    @classmethod
    def output_shapes(cls, shapes: Sequence[Shape], attributes: dict[str, Any]) -> tuple[Shape, ...]:
        """Raises ValueError where the weights do not fit the features, the kernel, the groups or the bias."""
        channels, (filters, group_channels, *kernel), group = shapes[0][2], shapes[2], attributes["group"]
        wanted = [group_channels * group if isinstance(group_channels, int) else None, *attributes["kernel_shape"]]
        fits = all(
            a == b or not isinstance(a, int) for a, b in zip((channels, *kernel), wanted, strict=True) if b is not None
        )
        fits &= not isinstance(filters, int) or (filters % group == 0 and filters > 0)
        fits &= 0 not in (channels, group_channels)
        bias = shapes[3] if len(shapes) > 3 else ()
        if not fits or bias not in ((), (filters,)):
            raise ValueError(f"features {list(shapes[0])}, W {list(shapes[2])}, bias {list(bias)}, group {group}")
        return ((*shapes[0][:2], shapes[2][0]),)

    @classmethod
    def held_values(cls, shapes: Sequence[Shape], attributes: dict[str, Any]) -> int:
        """The function body gathers every tap of every slot before it adds them up."""
        values: int = sample_values(shapes[0]) * math.prod(attributes["kernel_shape"])
        return values

    @classmethod
    def output_datatypes(cls, datatypes: Sequence[BaseDataType], node: NodeProto, model: Any) -> list[BaseDataType]:
        # The proof that export made knows weights and pixels; from the datatypes alone little could be said.
        return [stated_datatype(node.output[0], model)]

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        x, weights = node.grids[0], node.grids[2]
        bias = node.grids[3] if len(node.grids) > 3 else None
        n, channels = node.shapes[0][1:]
        if x is None or weights is None or weights.lo is not weights.hi:
            return NodeProof((None,))
        assert isinstance(n, int) and isinstance(channels, int)
        lo, hi, partial = _sum_limits(x, weights.lo, n, channels, node.attributes["group"])
        frac, divisor = x.frac + weights.frac, x.divisor
        sums = Grid(lo[None], hi[None], frac, divisor, x.rounded_in_sums)
        if bias is None:
            out = sums
        else:
            sums, b = common_grid(sums, Grid(bias.lo[None], bias.hi[None], bias.frac))
            out = sums.with_limits(sums.lo + b.lo, sums.hi + b.hi)
        out = out.with_zero()
        return NodeProof((out,), max(partial.bit_length(), x.bits, weights.bits, sums.bits, out.bits))

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        x, weights = node.grids[0], node.grids[2]
        bias = node.grids[3] if len(node.grids) > 3 else None
        assert x is not None and weights is not None
        n, channels = sample_shape(node.shapes[0])
        (kh, kw), (dh, dw) = node.attributes["kernel_shape"], node.attributes["dilations"]
        group, filters = node.attributes["group"], weights.lo.shape[0]
        lo, hi, _ = _sum_limits(x, weights.lo, n, channels, group)
        top, left = pads_before((kh, kw), (dh, dw))
        biases = np.zeros(filters, dtype=object) if bias is None else numerators(bias, x.divisor)
        config = {"n_slots": n, "n_channels": channels, "n_filters": filters, "n_groups": group}
        config |= {"kernel_height": kh, "kernel_width": kw, "dilation_height": dh, "dilation_width": dw}
        return HlsCall(
            "sparse_conv",
            (0, 1),
            {
                **config,
                "pad_top": top,
                "pad_left": left,
                "accum_t": Grid(lo, hi, x.frac + weights.frac).with_zero(),
                "is_raster_order": False,
                "pixels_per_cycle": 1,
                "inputs_per_cycle": n,
                "filters_per_cycle": filters,
                "channels_per_cycle": channels // group,
            },
            (
                HlsTable("weights", _between_zeros(numerators(weights)), weights.frac),
                HlsTable("biases", biases, min(x.frac + weights.frac, 0) if bias is None else bias.frac),
            ),
            function="sparse_conv_pairs",
        )

    @classmethod
    def function(cls, nodes: Sequence[NodeProto] = ()) -> FunctionProto:
        return parse_function(_BODY)


def _between_zeros(weights: Array) -> Array:
    """Weights `[F, C/group, kh, kw]` by kernel position, `[1 + kh * kw + 1, C/group, F]`: outside the window lies 0."""
    filters, group_channels, height, width = weights.shape
    by_position = weights.transpose(2, 3, 1, 0).reshape(height * width, group_channels, filters)
    return np.pad(by_position, ((1, 1), (0, 0), (0, 0)))


def _sum_limits(x: Grid, weights: Array, n: int, channels: int, group: int) -> tuple[Array, Array, int]:
    """Limits `[F]` of a filter's sum, and of any partial sum, when at most `n` taps of the kernel find a pixel."""
    filters, group_channels = weights.shape[:2]
    lo_c, hi_c = (np.broadcast_to(a.ravel(), (channels,)).reshape(group, group_channels) for a in (x.lo, x.hi))
    taps = weights.reshape(group, filters // group, group_channels, -1)
    shape = (group, 1, group_channels, 1)
    low, high = products(lo_c.reshape(shape), hi_c.reshape(shape), taps)
    # one tap: any channel may also be 0; over taps: the n most extreme ones
    low = np.sort(np.minimum(low, 0).sum(axis=2), axis=-1)[..., :n].sum(axis=-1).reshape(filters)
    high = -np.sort(-np.maximum(high, 0).sum(axis=2), axis=-1)[..., :n].sum(axis=-1).reshape(filters)
    return low, high, max(bound(low), bound(high))
