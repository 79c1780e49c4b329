"""Passes over the kernel calls, before they get names. The order is the table at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sparse_qonnx.grid import Grid, add
from sparse_qonnx.hlscall import HlsCall, HlsTable, Symbol

if TYPE_CHECKING:
    from sparse_qonnx.hls.lower import Step

Fused = dict[str, str]


def bias_into_dense(steps: list[Step], outputs: list[str], fused: Fused) -> list[Step]:
    """A matrix product followed by the addition of a row is one dense layer with a bias."""
    readers: dict[str, list[Step]] = {}
    for step in steps:
        for name in step.inputs:
            readers.setdefault(name, []).append(step)
    replaced: dict[int, Step | None] = {}
    for step in steps:
        after = readers.get(step.outputs[0], [])
        if len(after) != 1 or step.outputs[0] in outputs:
            continue
        merged = _merge(step, after[0])
        if merged is not None:
            fused[step.outputs[0]] = after[0].outputs[0]
            replaced[id(step)], replaced[id(after[0])] = None, merged
    candidates = (replaced.get(id(step), step) for step in steps)
    return [step for step in candidates if step is not None]


def _merge(product: Step, addition: Step) -> Step | None:
    first, second = product.call, addition.call
    if not isinstance(first, HlsCall) or not isinstance(second, HlsCall):
        return None
    if (first.function_name, second.function_name) != ("dense", "elementwise_constant"):
        return None
    if second.config["operation"] != Symbol("binary", "ADD") or second.config["a_factor"] != 1:
        return None
    addends, accum = second.table("operand"), first.config["accum_t"]
    columns = first.config["n_outputs"]
    if addends.values.size != columns or addends.values.shape[-1] != columns or not isinstance(accum, Grid):
        return None
    values = addends.values.reshape(-1)
    bias = Grid(values, values, addends.frac)
    tables = (first.table("weights"), HlsTable("biases", values, addends.frac))
    # Sums start at the bias.
    total = add(accum, bias)
    reach = total.with_limits(np.minimum(total.lo, total.hi), np.maximum(total.lo, total.hi)).with_zero()
    call = replace(first.with_config(accum_t=reach), tables=tables)
    return replace(addition, node=addition.node, op_type="MatMul, Add", call=call, inputs=product.inputs)


PASSES: tuple[Callable[[list[Step], list[str], Fused], list[Step]], ...] = (bias_into_dense,)
