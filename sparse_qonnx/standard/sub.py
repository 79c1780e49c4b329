"""Sub."""

from __future__ import annotations

from sparse_qonnx.grid import NodeContext, NodeProof, add, common_grid
from sparse_qonnx.standard._base import StandardOp
from sparse_qonnx.standard.add import as_sample


class Sub(StandardOp):
    """Difference of two tensors, or of a tensor and a constant."""

    @classmethod
    def prove(cls, node: NodeContext) -> NodeProof:
        a, b = node.grids
        if a is None or b is None:
            return NodeProof((None,))
        a, b = (as_sample(node, n, g) for n, g in enumerate((a, b)))
        out = add(a, b.with_limits(-b.hi, -b.lo))
        return NodeProof((out,), max(*(g.bits for g in common_grid(a, b)), out.bits))
