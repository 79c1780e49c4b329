"""What operators of two tensors, element by element, have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.grid import Grid, NodeContext, NodeProof, common_grid, union
from sparse_qonnx.hlscall import (
    ConfigValue,
    HlsCall,
    HlsTable,
    Symbol,
    broadcast_view,
    factor,
    numerators,
    sample_shape,
)


def as_sample(node: NodeContext, position: int, grid: Grid) -> Grid:
    """Limits of a constant operand at the rank of one sample."""
    if node.constants[position] is None:
        return grid
    rank = len(node.output_shapes[0]) - 1
    shape = grid.lo.shape[-rank:] if rank else ()
    if math.prod(shape) != grid.lo.size:
        problem = f"reads a constant of the shape {list(grid.lo.shape)}"
        raise UnsupportedNodeError(node.where, problem, allowed="the same constant for every event")
    shape = (1,) * (rank - len(shape)) + shape
    return grid.with_limits(grid.lo.reshape(shape), grid.hi.reshape(shape))


def extremum(node: NodeContext, pick: Callable[[Any, Any], Any]) -> NodeProof:
    """Grid of the elementwise maximum or minimum of all inputs; exact with divisors pending, as it only selects."""
    grids = [as_sample(node, n, g) for n, g in enumerate(node.grids) if g is not None]
    if not grids or len(grids) != len(node.grids):
        return NodeProof((None,))
    out = grids[0]
    bits = out.bits
    for grid in grids[1:]:
        a, b = common_grid(out, grid)
        out = Grid(pick(a.lo, b.lo), pick(a.hi, b.hi), a.frac, a.divisor, a.rounded or b.rounded)
        bits = max(bits, a.bits, b.bits)
    return NodeProof((out,), bits)


def elementwise_call(node: NodeContext, proof: NodeProof, operation: str, from_second: str = "") -> HlsCall:
    """The kernel call of two operands, of which one may be constant; both are broadcast to the shape of the result.

    Args:
        node: the node.
        proof: its proof.
        operation: enumerator of the kernel's `binary`.
        from_second: the one that stands for it where the first operand is the constant; `operation` where empty.

    Raises:
        UnsupportedNodeError: it has not two operands, or views that the kernel does not know.
    """
    if len(node.shapes) != 2:
        raise UnsupportedNodeError(node.where, f"has {len(node.shapes)} inputs", allowed="2", fix="nest them")
    out, shape = proof.outputs[0], sample_shape(node.output_shapes[0])
    data = tuple(n for n, constant in enumerate(node.constants) if constant is None)
    grids = [as_sample(node, n, g) for n, g in enumerate(node.grids) if g is not None]
    assert out is not None and len(grids) == 2
    if data == (1,):
        operation, grids = from_second or operation, grids[::-1]
    shapes = [sample_shape(node.shapes[n]) for n in data]
    divisor = 1 if operation == "MULTIPLY" else out.divisor
    factors = [1 if operation == "MULTIPLY" else divisor // grid.divisor for grid in grids]
    tables: tuple[HlsTable, ...] = ()
    if len(data) == 1:
        shapes.append(grids[1].lo.shape)
        tables, factors[1] = (HlsTable("operand", numerators(grids[1], divisor), grids[1].frac),), 1
    config: dict[str, ConfigValue] = {"operation": Symbol("binary", operation), "n_values": math.prod(shape)}
    config |= {f"{name}_view": broadcast_view(node.where, shape, own) for name, own in zip("ab", shapes, strict=True)}
    config |= factor("a", factors[0]) | factor("b", factors[1])
    config["common_t"] = _both(*grids)
    function = "elementwise" if len(data) == 2 else "elementwise_constant"
    return HlsCall("elementwise", data, config, tables, function)


def _both(a: Grid, b: Grid) -> Grid:
    """A grid that holds the numerators of both on a common divisor."""
    first, second = (grid.envelope() for grid in common_grid(a, b))
    return union(*(Grid(np.ravel(g.lo), np.ravel(g.hi), g.frac) for g in (first, second)))
