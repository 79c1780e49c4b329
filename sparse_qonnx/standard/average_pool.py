"""AveragePool and its windows: sums along one axis after another, each a product with whole numbers."""

from __future__ import annotations

import math

import numpy as np

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import Array, NodeContext, NodeProof
from sparse_qonnx.hlscall import HlsCall
from sparse_qonnx.scaling import Operand, SumWriter
from sparse_qonnx.standard._base import StandardOp


class AveragePool(StandardOp):
    """The mean of windows of any size, stride and padding; files that we make hold the sums instead."""

    operands = (Operand.FACTOR,)

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        """Nothing: `passes.carry_divisors` writes it as sums, of which everything is known."""
        return NodeProof((None,))

    @classmethod
    def as_sum(cls, node: NodeContext, write: SumWriter) -> int | None:
        """A window at an edge has fewer values: its sum is multiplied, so that one divisor serves all windows."""
        sizes, outs = node.shapes[0][2:], (node.output_shapes[0] if node.output_shapes else ())[2:]
        if not sizes or len(sizes) != len(outs) or not all(isinstance(n, int) for n in (*sizes, *outs)):
            return None
        found = [
            _sums(node, n, int(size or 0), int(out or 0)) for n, (size, out) in enumerate(zip(sizes, outs, strict=True))
        ]
        name, rank = write.inputs[0], len(sizes)
        rotated = [0, 1, rank + 1, *range(2, rank + 1)]
        for n, (matrix, _) in reversed(list(enumerate(found))):
            weights = write.constant(f"window{n}", matrix.astype(np.float32))
            name = write.node(f"sums{n}", "MatMul", [name, weights])
            if n:
                name = write.node(f"turned{n}", "Transpose", [name], perm=rotated)
        write.last("Transpose", [name], perm=rotated)
        return math.prod(divisor for _, divisor in found)

    @classmethod
    def hls(cls, node: NodeContext, proof: NodeProof) -> HlsCall:
        """Firmware has its sums; the average itself is left only where they could not be written."""
        raise UnsupportedNodeError(node.where, f"averages {list(node.shapes[0])}", allowed="images of known size")


def _sums(node: NodeContext, axis: int, size: int, out: int) -> tuple[Array, int]:
    """A matrix `[size, out]` of whole numbers that sums the windows along one axis, and what to divide by."""
    a = node.attributes
    kernel = int(a["kernel_shape"][axis])
    stride = int(a["strides"][axis]) if "strides" in a else 1
    step = int(a["dilations"][axis]) if "dilations" in a else 1
    before, after = _pads(a, axis, size, (kernel - 1) * step + 1, stride)
    matrix, counts = np.zeros((size, out), dtype=np.int64), []
    for place in range(out):
        taps = [place * stride - before + t * step for t in range(kernel)]
        inside = [t for t in taps if 0 <= t < size]
        matrix[inside, place] = 1
        counted = [t for t in taps if -before <= t < size + after] if a.get("count_include_pad", 0) else inside
        counts.append(max(len(counted), 1))
    divisor = math.lcm(*counts)
    return matrix * (divisor // np.array(counts)), divisor


def _pads(attributes: dict[str, object], axis: int, size: int, window: int, stride: int) -> tuple[int, int]:
    mode = attributes.get("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        less = total // 2
        return (less, total - less) if mode == "SAME_UPPER" else (total - less, less)
    pads = attributes.get("pads")
    if mode == "VALID" or not isinstance(pads, (list, tuple)):
        return 0, 0
    return int(pads[axis]), int(pads[axis + len(pads) // 2])
