"""SparsePool: average and max pooling on pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import FunctionProto, NodeProto
from qonnx.core.datatype import BaseDataType

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import Grid, NodeContext, NodeProof, bits_of
from sparse_qonnx.hlscall import HlsCall, Symbol, sample_shape
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
from sparse_qonnx.ops.sparse_to_dense import check_coords
from sparse_qonnx.scaling import Operand, SumWriter, odd_part

# The canvas holds one place per pooled cell and one more, where slots that leave are written.
# The maximum of ScatterElements keeps or drops NaN by its place in the window, hence the search for it.
# The branches read `staying` and not `features`: where the batch size is fixed, onnxruntime folds Shape(features) and
# then drops the node that made `features` if only a branch still reads it.
_BODY = """
SparsePool <mode, kernel_shape, spatial_shape> (features, coords) => (pooled, pooled_coords)
{
   zero = Constant <value_int = 0> ()
   one = Constant <value_int = 1> ()
   axis_last = Constant <value_ints = [2]> ()
   axis_0 = Constant <value_ints = [0]> ()
   kernel = Constant <value_ints: ints = @kernel_shape> ()
   spatial = Constant <value_ints: ints = @spatial_shape> ()
   cells = Div (spatial, kernel)
   cells_height, cells_width = Split <axis = 0, num_outputs = 2> (cells)
   n_cells = Mul (cells_height, cells_width)
   n_places = Add (n_cells, one)
   batch = Shape <start = 0, end = 1> (features)
   n_slots = Shape <start = 1, end = 2> (features)
   channels = Shape <start = 2, end = 3> (features)
   before = Sub (coords, one)
   cell_0 = Div (before, kernel)
   cell = Add (cell_0, one)
   is_pixel = Greater (coords, zero)
   is_whole = LessOrEqual (cell, cells)
   stays_2 = And (is_pixel, is_whole)
   stays_i = Cast <to = 7> (stays_2)
   stays_n = ReduceMin <keepdims = 1> (stays_i, axis_last)
   stays = Greater (stays_n, zero)
   row, column = Split <axis = 2, num_outputs = 2> (cell_0)
   row_start = Mul (row, cells_width)
   inside = Add (row_start, column)
   place_1 = Where (stays, inside, n_cells)
   place = Squeeze (place_1, axis_last)
   n_slots_s = Squeeze (n_slots, axis_0)
   slots_r = Range (zero, n_slots_s, one)
   place_shape = Shape (place)
   slots = Expand (slots_r, place_shape)
   canvas_dims = Concat <axis = 0> (batch, n_places)
   no_slot = Expand (n_slots, canvas_dims)
   first_canvas = ScatterElements <axis = 1, reduction = "min"> (no_slot, place, slots)
   first = GatherElements <axis = 1> (first_canvas, place)
   is_first_2d = Equal (first, slots)
   is_first = Unsqueeze (is_first_2d, axis_last)
   leads = And (is_first, stays)
   pooled_coords = Where (leads, cell, zero)
   zero_f = Constant <value_float = 0.0> ()
   zero_x = CastLike (zero_f, features)
   one_f = Constant <value_float = 1.0> ()
   one_x = CastLike (one_f, features)
   features_shape = Shape (features)
   places = Expand (place_1, features_shape)
   canvas_shape = Concat <axis = 0> (batch, n_places, channels)
   window = ReduceProd <keepdims = 0> (kernel, axis_0)
   window_x = CastLike (window, features)
   staying = Where (stays, features, zero_x)
   mode_name = Constant <value_string: string = @mode> ()
   average_name = Constant <value_string = "average"> ()
   is_average = Equal (mode_name, average_name)
   max_name = Constant <value_string = "max"> ()
   is_max = Equal (mode_name, max_name)
   adds = Not (is_max)
   divisor = Where (is_average, window_x, one_x)
   value = If (adds) <
      then_branch = sum () => (float[] sum_value) {
         zeros = Expand (zero_x, canvas_shape)
         sums = ScatterElements <axis = 1, reduction = "add"> (zeros, places, staying)
         sum_here = GatherElements <axis = 1> (sums, places)
         sum_value = Div (sum_here, divisor)
      },
      else_branch = maximum () => (float[] maximum_value) {
         counts_0 = Expand (zero_x, canvas_shape)
         ones = Expand (one_x, features_shape)
         counts = ScatterElements <axis = 1, reduction = "add"> (counts_0, places, ones)
         count_here = GatherElements <axis = 1> (counts, places)
         is_full = Equal (count_here, window_x)
         one_over_0 = Div (one_x, zero_x)
         lowest_0 = Neg (one_over_0)
         lowest = Expand (lowest_0, canvas_shape)
         largest = ScatterElements <axis = 1, reduction = "max"> (lowest, places, staying)
         largest_here = GatherElements <axis = 1> (largest, places)
         with_zero = Max (largest_here, zero_x)
         number = Where (is_full, largest_here, with_zero)
         is_nan = IsNaN (staying)
         nan_ones = CastLike (is_nan, features)
         nans = ScatterElements <axis = 1, reduction = "add"> (counts_0, places, nan_ones)
         nans_here = GatherElements <axis = 1> (nans, places)
         any_nan = Greater (nans_here, zero_x)
         nan_x = Div (zero_x, zero_x)
         maximum_value = Where (any_nan, nan_x, number)
      }>
   pooled = Where (leads, value, zero_x)
}
"""


def _window(node: NodeContext) -> int:
    height, width = node.attributes["kernel_shape"]
    return int(height) * int(width)


def cell_of(coords: Array, kernel_shape: tuple[int, ...], spatial_shape: tuple[int, ...]) -> Array:
    """1-based pooled coordinates of each slot; (0, 0) for empty slots and pixels of a partial window."""
    kernel = np.array(kernel_shape)
    cell = (coords - 1) // kernel + 1
    stays = (coords > 0).all(axis=2) & (cell <= np.array(spatial_shape) // kernel).all(axis=2)
    return np.where(stays[:, :, None], cell, 0)


class SparsePool(SparseOp):
    """Pooling with stride = kernel; a pooled cell is emitted once, by its first slot."""

    doc = (
        "Pools windows of `kernel_shape` with equal stride; pixels in a partial window at the bottom or right edge "
        "become empty slots. A cell is emitted by its first slot, later slots of it become empty. `average` divides by "
        "the size of the window, `sum` does not; `max` is the maximum over the whole window, zeros of inactive pixels "
        "included."
    )
    # before there were sums
    earlier_bodies = frozenset({"2fe52d2adbb0cbcccda83c7c13f8a06294f25f751ba003deeee10b531ce794d2"})
    attributes = (
        Attribute("mode", "s", "`average`, `sum` or `max`", None, frozenset({"average", "sum", "max"})),
        Attribute("kernel_shape", "ints", "rows and columns of a window, and the stride"),
        Attribute("spatial_shape", "ints", "rows and columns of the image before pooling"),
    )
    inputs = (
        Port("features", "[B, N, C]", "values of the pixels"),
        Port("coords", "[B, N, 2]", "their places", is_coordinates=True),
    )
    outputs = (
        Port("pooled", "[B, N, C]", "value of each cell, in its first slot"),
        Port("coords_pooled", "[B, N, 2]", "places of the cells", is_coordinates=True),
    )
    operands = (Operand.FACTOR, Operand.VALUE)

    @classmethod
    def compute(cls, *inputs: Array | None, **attributes: Any) -> tuple[Array, ...]:
        features, coords = inputs
        assert features is not None and coords is not None
        check_rank("SparsePool", "features", features, 3, "[B, N, C]")
        check_coords("SparsePool", coords, attributes["spatial_shape"])
        kernel_shape = attributes["kernel_shape"]
        window = kernel_shape[0] * kernel_shape[1]
        cells = cell_of(coords, kernel_shape, attributes["spatial_shape"])
        pooled, pooled_coords = np.zeros_like(features), np.zeros_like(coords)
        event, slot = np.nonzero(cells.any(axis=2))
        at, values = cells[event, slot], features[event, slot]
        rows, columns = np.array(attributes["spatial_shape"]) // kernel_shape
        places = (event * rows + at[:, 0] - 1) * columns + at[:, 1] - 1
        _, first, member = np.unique(places, return_index=True, return_inverse=True)
        shape = (len(first), features.shape[2])
        if attributes["mode"] == "max":
            # np.fmax would hide NaN; the other implementations let it through
            found = np.full(shape, -np.inf, dtype=features.dtype)
            np.maximum.at(found, member, values)
            is_full = np.bincount(member, minlength=len(first)) == window
            found = np.where(is_full[:, None], found, np.maximum(found, 0))
        else:
            found = np.zeros(shape, dtype=features.dtype)
            np.add.at(found, member, values)  # slot by slot, as everywhere
            if attributes["mode"] == "average":
                found = found / features.dtype.type(window)
        pooled[event[first], slot[first]] = found
        pooled_coords[event[first], slot[first]] = at[first]
        return pooled, pooled_coords

    @classmethod
    def output_shapes(cls, shapes: Sequence[Shape], attributes: dict[str, Any]) -> tuple[Shape, ...]:
        return shapes[0], shapes[1]

    @classmethod
    def held_values(cls, shapes: Sequence[Shape], attributes: dict[str, Any]) -> int:
        """The function body holds an image of the pooled cells, and one place for what is left out."""
        cells = math.prod(n // k for n, k in zip(attributes["spatial_shape"], attributes["kernel_shape"], strict=True))
        values: int = (cells + 1) * sample_values((*shapes[0][:1], *shapes[0][2:]))
        return values

    @classmethod
    def output_datatypes(cls, datatypes: Sequence[BaseDataType], node: NodeProto, model: Any) -> list[BaseDataType]:
        if cls.read_attributes(node)["mode"] == "max":
            return [datatypes[0]]
        return [stated_datatype(node.output[0], model)]  # sums leave the grid of what they add

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        (grid, _), ((_, n, _), _) = node.grids, node.shapes
        if grid is None:
            return NodeProof((None, None))
        assert isinstance(n, int)
        grid = grid.with_zero()
        if node.attributes["mode"] == "max":
            return NodeProof((grid, None), grid.bits)
        window = _window(node)
        members = min(n, window)
        lo, hi = grid.lo * members, grid.hi * members
        divisor = window if node.attributes["mode"] == "average" else 1
        twos = (divisor & -divisor).bit_length() - 1
        pooled = Grid(lo, hi, grid.frac + twos, grid.divisor * (divisor >> twos), grid.rounded_in_sums)
        return NodeProof((pooled, None), bits_of(lo, hi))

    @classmethod
    def as_sum(cls, node: NodeContext, write: SumWriter) -> int | None:
        window = _window(node)
        if node.attributes["mode"] != "average" or odd_part(window) == 1:
            return None
        write.last(cls.__name__, list(write.inputs), **{**node.attributes, "mode": "sum"})
        return window

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        grid, out = node.grids[0], proof.outputs[0]
        assert grid is not None and out is not None
        n, channels = sample_shape(node.shapes[0])
        (height, width), (window_height, window_width) = (
            node.attributes["spatial_shape"],
            node.attributes["kernel_shape"],
        )
        if window_height > height or window_width > width:
            raise UnsupportedNodeError(
                node.where,
                f"pools windows of {window_height} x {window_width} in an image of {height} x {width}: none fits",
                allowed="kernel_shape up to the size of the image",
                fix="leave the layer out: nothing comes out of it",
            )
        config = {"n_slots": n, "n_channels": channels, "height": height, "width": width}
        config |= {"window_height": window_height, "window_width": window_width}
        return HlsCall(
            "sparse_pool",
            (0, 1),
            {
                # the kernel's average is a sum whose binary point moves
                "mode": Symbol("pooling", "MAX" if node.attributes["mode"] == "max" else "AVERAGE"),
                **config,
                "average_shift": out.frac - grid.frac,
                "accum_t": Grid(out.lo, out.hi, grid.frac),
                "pixels_per_cycle": 1,
            },
            coordinate_limits={1: max(height // window_height, width // window_width)},
        )

    @classmethod
    def function(cls, nodes: Sequence[NodeProto] = ()) -> FunctionProto:
        return parse_function(_BODY)
