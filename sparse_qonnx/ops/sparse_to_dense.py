"""SparseToDense: pixels back onto their image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import FunctionProto, NodeProto

from sparse_qonnx.errors import InputDataError
from sparse_qonnx.grid import NodeContext, NodeProof, Occupancy
from sparse_qonnx.hlscall import HlsCall, sample_shape
from sparse_qonnx.ops._base import Array, Attribute, Port, Shape, SparseOp, check_rank, parse_function
from sparse_qonnx.scaling import Operand

# one place more than the image has: empty slots are written there and cut off
_BODY = """
SparseToDense <spatial_shape> (features, coords) => (Y)
{
   zero = Constant <value_int = 0> ()
   one = Constant <value_int = 1> ()
   zero_1d = Constant <value_ints = [0]> ()
   axis_1 = Constant <value_ints = [1]> ()
   spatial = Constant <value_ints: ints = @spatial_shape> ()
   height, width = Split <axis = 0, num_outputs = 2> (spatial)
   n_pixels = Mul (height, width)
   n_places = Add (n_pixels, one)
   batch = Shape <start = 0, end = 1> (features)
   channels = Shape <start = 2, end = 3> (features)
   row, column = Split <axis = 2, num_outputs = 2> (coords)
   row_0 = Sub (row, one)
   column_0 = Sub (column, one)
   row_start = Mul (row_0, width)
   inside = Add (row_start, column_0)
   active = Greater (row, zero)
   place = Where (active, inside, n_pixels)
   features_shape = Shape (features)
   places = Expand (place, features_shape)
   zero_f = Constant <value_float = 0.0> ()
   zero_x = CastLike (zero_f, features)
   canvas_shape = Concat <axis = 0> (batch, n_places, channels)
   canvas = Expand (zero_x, canvas_shape)
   filled = ScatterElements <axis = 1> (canvas, places, features)
   image = Slice (filled, zero_1d, n_pixels, axis_1)
   image_shape = Concat <axis = 0> (batch, spatial, channels)
   Y = Reshape <allowzero = 1> (image, image_shape)
}
"""


def check_coords(op: str, coords: Array, spatial_shape: tuple[int, ...]) -> None:
    """Raise InputDataError for a coordinate outside the image, or one of which only a part is 0."""
    outside = ((coords < 0) | (coords > np.array(spatial_shape))).any(axis=2)
    half_empty = (coords == 0).any(axis=2) & coords.any(axis=2)
    wrong = coords[outside | half_empty]
    if len(wrong):
        allowed = f"1-based (row, column) up to {tuple(int(v) for v in spatial_shape)}, or (0, 0) for an empty slot"
        raise InputDataError(f"{op} input 'coords'", f"holds {tuple(int(v) for v in wrong[0])}", allowed=allowed)


class SparseToDense(SparseOp):
    """Scatter the pixels onto a dense image of zeros."""

    doc = "Writes the features of every active slot at its pixel of an otherwise zero image."
    attributes = (Attribute("spatial_shape", "ints", "rows and columns of the image"),)
    inputs = (
        Port("features", "[B, N, C]", "values of the pixels"),
        Port("coords", "[B, N, 2]", "their places", is_coordinates=True),
    )
    outputs = (Port("Y", "[B, H, W, C]", "image"),)
    operands = (Operand.FACTOR, Operand.VALUE)

    @classmethod
    def compute(cls, *inputs: Array | None, **attributes: Any) -> tuple[Array, ...]:
        features, coords = inputs
        assert features is not None and coords is not None
        check_rank("SparseToDense", "features", features, 3, "[B, N, C]")
        check_coords("SparseToDense", coords, attributes["spatial_shape"])
        image = np.zeros((features.shape[0], *attributes["spatial_shape"], features.shape[2]), dtype=features.dtype)
        event, slot = np.nonzero(coords.any(axis=2))
        row, column = (coords[event, slot] - 1).T
        image[event, row, column] = features[event, slot]
        return (image,)

    @classmethod
    def output_shapes(cls, shapes: Sequence[Shape], attributes: dict[str, Any]) -> tuple[Shape, ...]:
        (batch, _, channels), _ = shapes
        return ((batch, *attributes["spatial_shape"], channels),)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        grid = node.grids[0]
        if grid is None:
            return NodeProof((None,))
        n, channels = node.shapes[0][1:]
        assert isinstance(n, int) and isinstance(channels, int)
        image = grid.with_limits(grid.lo[None], grid.hi[None]).with_zero().occupied(Occupancy(n, channels))
        return NodeProof((image,), image.bits)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        n, channels = sample_shape(node.shapes[0])
        height, width = node.attributes["spatial_shape"]
        config = {"n_slots": n, "n_channels": channels, "height": height, "width": width}
        return HlsCall("sparse_to_dense", (0, 1), config)

    @classmethod
    def function(cls, nodes: Sequence[NodeProto] = ()) -> FunctionProto:
        return parse_function(_BODY)
