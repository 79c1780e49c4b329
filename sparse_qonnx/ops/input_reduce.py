"""InputReduce: a dense image becomes its first N active pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from onnx import FunctionProto, NodeProto

from sparse_qonnx.grid import NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall, Signed, sample_shape
from sparse_qonnx.ops._base import Array, Attribute, Port, Shape, SparseOp, check_rank, parse_function
from sparse_qonnx.scaling import Operand, carried_threshold

# onnxruntime 1.20 ends the process with a division by zero where TopK gets no rows, hence the If.
_BODY = """
InputReduce <n_max_pixels, threshold> (X) => (features, coords)
{
   batch = Shape <start = 0, end = 1> (X)
   height = Shape <start = 1, end = 2> (X)
   width = Shape <start = 2, end = 3> (X)
   channels = Shape <start = 3, end = 4> (X)
   n_pixels = Mul (height, width)
   flat_shape = Concat <axis = 0> (batch, n_pixels, channels)
   pixels = Reshape <allowzero = 1> (X, flat_shape)
   zero_index = Constant <value_int = 0> ()
   score = Gather <axis = 2> (pixels, zero_index)
   limit_f = Constant <value_float: float = @threshold> ()
   limit = CastLike (limit_f, X)
   active = Greater (score, limit)
   zero_1d = Constant <value_ints = [0]> ()
   first_key = Squeeze (n_pixels, zero_1d)
   minus_one = Constant <value_int = -1> ()
   keys = Range (first_key, zero_index, minus_one)
   ranked = Where (active, keys, zero_index)
   n_scalar = Constant <value_int: int = @n_max_pixels> ()
   one_dim = Constant <value_ints = [-1]> ()
   n = Reshape (n_scalar, one_dim)
   k = Min (n, n_pixels)
   batch_s = Squeeze (batch, zero_1d)
   some_events = Greater (batch_s, zero_index)
   top, pixel = If (some_events) <
      then_branch = search () => (int64[] top_found, int64[] pixel_found) {
         top_found, pixel_found = TopK <axis = 1, largest = 1, sorted = 1> (ranked, k)
      },
      else_branch = nothing () => (int64[] top_none, int64[] pixel_none) {
         none_shape = Concat <axis = 0> (batch, k)
         top_none = Expand (zero_index, none_shape)
         pixel_none = Identity (top_none)
      }>
   kept = Greater (top, zero_index)
   kept_1 = Unsqueeze (kept, one_dim)
   pixel_1 = Unsqueeze (pixel, one_dim)
   picked = GatherND <batch_dims = 1> (pixels, pixel_1)
   zero_f = Constant <value_float = 0.0> ()
   zero_x = CastLike (zero_f, X)
   short_features = Where (kept_1, picked, zero_x)
   one = Constant <value_int = 1> ()
   row_0 = Div (pixel_1, width)
   column_0 = Mod (pixel_1, width)
   place_0 = Concat <axis = 2> (row_0, column_0)
   place = Add (place_0, one)
   short_coords = Where (kept_1, place, zero_index)
   missing = Sub (n, k)
   before = Constant <value_ints = [0, 0, 0, 0]> ()
   pads = Concat <axis = 0> (before, missing, zero_1d)
   features = Pad (short_features, pads)
   coords = Pad (short_coords, pads)
}
"""


class InputReduce(SparseOp):
    """The first N pixels in raster order whose first channel exceeds the threshold."""

    doc = (
        "Keeps the first `n_max_pixels` pixels in raster order with `X[b, h, w, 0] > threshold` (strict; the first "
        "channel decides, all channels are copied). Slots that find no pixel hold features 0 and coordinates (0, 0)."
    )
    attributes = (
        Attribute("n_max_pixels", "i", "pixel budget N, at least 1"),
        Attribute("threshold", "f", "a pixel is active when its first channel is greater", 0.0),
    )
    inputs = (Port("X", "[B, H, W, C]", "image"),)
    outputs = (
        Port("features", "[B, N, C]", "values of the kept pixels"),
        Port("coords", "[B, N, 2]", "1-based row and column, (0, 0) for an empty slot", is_coordinates=True),
    )
    operands = (Operand.FACTOR,)

    @classmethod
    def compute(cls, *inputs: Array | None, **attributes: Any) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        check_rank("InputReduce", "X", x, 4, "[B, H, W, C]")
        n = attributes["n_max_pixels"]
        batch, height, width, channels = x.shape
        pixels = x.reshape(batch, height * width, channels)
        active = pixels[:, :, 0] > x.dtype.type(np.float32(attributes["threshold"])) if channels else pixels.any(axis=2)
        slot = np.cumsum(active, axis=1) - 1
        event, pixel = np.nonzero(active & (slot < n))
        features = np.zeros((batch, n, channels), dtype=x.dtype)
        coords = np.zeros((batch, n, 2), dtype=np.int64)
        target = slot[event, pixel]
        features[event, target] = pixels[event, pixel]
        coords[event, target] = np.stack(np.divmod(pixel, width), axis=1) + 1
        return features, coords

    @classmethod
    def output_shapes(cls, shapes: Sequence[Shape], attributes: dict[str, Any]) -> tuple[Shape, ...]:
        ((batch, _, _, channels),) = shapes
        n = attributes["n_max_pixels"]
        return (batch, n, channels), (batch, n, 2)

    @classmethod
    def passed_on(cls, node: NodeProto, constants: Mapping[str, Array]) -> dict[str, int]:
        return {node.output[0]: 0}

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        (grid,) = node.grids
        if grid is None:
            return NodeProof((None, None))
        ((_, _, _, channels),) = node.shapes
        assert isinstance(channels, int)
        lo, hi = (np.broadcast_to(a, (*a.shape[:2], channels)) for a in (grid.lo, grid.hi))
        kept = grid.with_limits(lo.min(axis=(0, 1))[None], hi.max(axis=(0, 1))[None]).with_zero()
        return NodeProof((kept, None), kept.bits)

    @classmethod
    def carried_attributes(cls, node: NodeContext, divisor: int) -> dict[str, Any] | None:
        """The threshold between the same two numerators."""
        threshold = carried_threshold(node.grids[0], float(np.float32(node.attributes["threshold"])), divisor)
        return None if threshold is None else {"threshold": threshold}

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        grid = node.grids[0]
        assert grid is not None
        height, width, channels = sample_shape(node.shapes[0])
        threshold = float(np.float32(node.attributes["threshold"]))
        # On the grid x > t is x > floor(t); beyond the range any limit outside it does. NaN: nothing is greater.
        below, above = grid.lowest - 1, grid.highest
        steps = above
        if np.isfinite(threshold):
            exact = Fraction(threshold) * Fraction(2) ** grid.frac * grid.divisor
            steps = min(max(exact.numerator // exact.denominator, below), above)
        elif threshold < 0:
            steps = below
        config = {"height": height, "width": width, "n_channels": channels}
        config |= {"n_slots": node.attributes["n_max_pixels"]}
        return HlsCall(
            "input_reduce",
            config={**config, "threshold": Signed(steps), "pixels_per_cycle": width},
            function="input_reduce_chunk",
            coordinate_limits={1: max(height, width)},
            notes=(f"threshold {threshold:g}, as a multiple of 2^{-grid.frac}: {steps}",),
        )

    @classmethod
    def function(cls, nodes: Sequence[NodeProto] = ()) -> FunctionProto:
        return parse_function(_BODY)
