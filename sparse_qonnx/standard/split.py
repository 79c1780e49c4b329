"""Split along a sample axis."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from sparse_qonnx.grid import Array, NodeContext
from sparse_qonnx.standard._moves import Move


class Split(Move):
    """Parts of one axis, side by side."""

    @classmethod
    def moved(cls, node: NodeContext, values: Array, fill: int) -> tuple[Array, ...] | None:
        axis = int(node.attributes.get("axis", 0)) % values.ndim
        sizes = [shape[axis] for shape in node.output_shapes if len(shape) == values.ndim]
        if axis == 0 or len(sizes) != len(node.output_shapes):
            return None
        ends = list(accumulate(size for size in sizes if isinstance(size, int)))
        return tuple(np.split(values, ends[:-1], axis))
