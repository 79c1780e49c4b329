"""Nothing is proven twice: passes change little of a model, and what they leave as it is keeps its proof.

A rule is a function of its `NodeContext` alone, so a result holds for every node that is given the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, numpy_helper

from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.grid import Array, Grid, NodeContext, NodeProof


@dataclass
class Remembered:
    """What was proven before. What a key names by its identity is held beside the result, so that it stays."""

    constants: dict[Hashable, tuple[Array, Grid | None]] = field(default_factory=dict)
    types: dict[Hashable, Grid] = field(default_factory=dict)
    nodes: dict[Hashable, tuple[NodeContext, NodeProof]] = field(default_factory=dict)

    def constant(self, tensor: TensorProto) -> tuple[Array, Grid | None]:
        """An initializer's values, and their grid where they are finite floating-point numbers."""
        key = (tensor.data_type, tuple(tensor.dims), tensor.raw_data or tensor.SerializeToString())
        if key not in self.constants:
            values: Array = numpy_helper.to_array(tensor)
            is_float = values.dtype.kind == "f" and bool(np.isfinite(values).all())
            grid = Grid.of_constant(values, where=f"initializer {tensor.name!r}") if is_float else None
            self.constants[key] = values, grid
        return self.constants[key]

    def of_type(self, kind: FixedPointType, rank: int) -> Grid:
        """The full range of a type."""
        return self.types.setdefault((kind, rank), Grid.of_type(kind, rank))

    def node(self, node: NodeProto, context: NodeContext, prove: Callable[[NodeContext], NodeProof]) -> NodeProof:
        """What a rule proves of a node.

        Raises:
            PrecisionError: as the rule.
        """
        attributes = tuple(attribute.SerializeToString(deterministic=True) for attribute in node.attribute)
        operands: tuple[Any, ...] = (*context.grids, *context.constants)
        key = (node.domain, node.op_type, attributes, context.shapes, context.output_shapes, *map(id, operands))
        if key not in self.nodes:
            self.nodes[key] = context, prove(context)
        return self.nodes[key][1]


_remembered: ContextVar[Remembered | None] = ContextVar("remembered", default=None)


def remembered() -> Remembered:
    """What is remembered here: nothing yet outside of `proven_once`."""
    return _remembered.get() or Remembered()


@contextmanager
def proven_once() -> Iterator[None]:
    """Within it, what was proven of one model holds for all models; it is forgotten at the end of the outermost one."""
    if _remembered.get() is not None:
        yield
        return
    token = _remembered.set(Remembered())
    try:
        yield
    finally:
        _remembered.reset(token)
