"""The NumPy reference: a file executed node by node, our operators by definition, the rest by onnx's own reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from sparse_qonnx._workarounds import onnx_reference_operators
from sparse_qonnx.checks.structure import require_known_nodes
from sparse_qonnx.errors import ModelFileError, SparseQonnxError
from sparse_qonnx.files import ModelSource, read_model
from sparse_qonnx.numerators import ValueNames
from sparse_qonnx.ops import DOMAIN, operators
from sparse_qonnx.ops._base import SparseOp
from sparse_qonnx.standard.max_pool import MaxPool
from sparse_qonnx.standard.quant import Quant, quant

Array = NDArray[Any]


def _runner(op: type[SparseOp]) -> type[OpRun]:
    """onnx's reference evaluator wants a class an operator; attributes arrive as keywords, None where absent."""

    def _run(_self: OpRun, *inputs: Array | None, **attributes: Any) -> tuple[Array, ...]:
        defaults = {a.name: a.default for a in op.attributes}
        given = {k: v for k, v in attributes.items() if v is not None and k in defaults}
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in {**defaults, **given}.items()}
        return op.compute(*inputs, **values)

    keywords = {a.name: None for a in op.attributes}
    return type(op.__name__, (OpRun,), {"op_domain": DOMAIN, "_run": _run, "_attribute_defaults": keywords})


@cache
def _new_ops() -> tuple[type[OpRun], ...]:
    def run_quant(_self: OpRun, *inputs: Array, **attributes: Any) -> tuple[Array]:
        return (quant(*inputs, **{k: v for k, v in attributes.items() if v is not None}),)

    def run_max_pool(_self: OpRun, x: Array, **attributes: Any) -> tuple[Array]:
        return (MaxPool.compute(x, **attributes),)

    foreign = type("Quant", (OpRun,), {"op_domain": Quant.domain, "_run": run_quant})
    names = ("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides")
    pooling = {"op_domain": "", "_run": run_max_pool, "_attribute_defaults": dict.fromkeys(names)}
    mended = (*onnx_reference_operators(), type("MaxPool", (OpRun,), pooling))
    return (*(_runner(op) for op in operators().values()), foreign, *mended)


def run_reference(
    model: ModelSource,
    inputs: Mapping[str, Array],
    tensors: Iterable[str] | None = None,
) -> dict[str, Array]:
    """Execute a model with NumPy.

    Args:
        model: a path, bytes or a ModelProto.
        inputs: arrays by input name, float32 `[B, ...]`.
        tensors: names of the tensors to return; the model's outputs by default.

    Returns:
        Arrays by tensor name.

    Raises:
        InputDataError: an operator of this package is given what it cannot take.
        ModelFileError: onnx's reference cannot execute the model.
    """
    bare = ModelProto()
    bare.CopyFrom(read_model(model))
    require_known_nodes(bare, "the NumPy reference")
    del bare.functions[:]  # they would take the place of the definitions
    try:
        evaluator = ReferenceEvaluator(bare, new_ops=list(_new_ops()))
        results: Any = evaluator.run(None, {k: np.asarray(v) for k, v in inputs.items()}, intermediate=True)
    except SparseQonnxError:
        raise
    except Exception as error:  # onnx's reference raises whatever NumPy does
        raise ModelFileError("model", f"the NumPy reference cannot execute it: {error}") from error
    wanted = [v.name for v in bare.graph.output] if tensors is None else list(tensors)
    return ValueNames(bare).given(wanted, results)
