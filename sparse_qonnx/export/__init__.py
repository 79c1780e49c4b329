"""Keras models (sparsepixels, HGQ2) to QONNX files. The only room that imports Keras."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from onnx import ModelProto

from sparse_qonnx.errors import PrecisionError, ToolError
from sparse_qonnx.files import write_model
from sparse_qonnx.passes.assign_float_types import float64_nodes
from sparse_qonnx.passes.infer_grids import infer_grids
from sparse_qonnx.passes.remembered import proven_once
from sparse_qonnx.system.outputs import output_file

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["export"]


@proven_once()
def export(
    model: Any,
    path: str | PathLike[str] | None = None,
    input_precision: str | Mapping[str, str] | None = None,
    *,
    builder: str | Callable[[], Any] | None = None,
    safe_mode: bool = True,
    custom_objects: dict[str, Any] | None = None,
) -> ModelProto:
    """Export a trained Keras model to one ONNX file that computes exactly what the model computes at inference.

    Args:
        model: a Keras model in memory, functional or Sequential, or the path of a saved `.keras` file.
        path: the file to write; None to get the model only. It appears complete or not at all.
        input_precision: fixed-point type of the inputs, `ap_fixed<W,I>` or `ap_ufixed<W,I>`, or one by input name;
            derived when None.
        builder: function that builds the untrained model, or `package.module:function`; `model` is then the path of its
            `.weights.h5` file.
        safe_mode: refuse saved models that carry Python code.
        custom_objects: Keras classes and functions by name, for saved models that use more than sparsepixels and HGQ2.

    Returns:
        The ONNX model. Inputs and outputs are float32 `[batch, ...]`; every tensor is named after its Keras layer.

    Raises:
        UnsupportedLayerError: a layer, or a setting of it, that cannot be exported exactly.
        PrecisionError: numbers that need more bits than float64 holds.
        ModelFileError: a saved model that cannot be read.
        ConfigurationError: a builder that cannot be found.
        OutputPathError: a path that cannot be written.
        ToolError: Keras, HGQ2 or sparsepixels is not installed.
    """
    if path is not None:
        output_file(path, [model] if isinstance(model, (str, os.PathLike)) else [])
    _require_keras()
    from sparse_qonnx.export.loading import load_model, load_weights
    from sparse_qonnx.export.source import describe_source
    from sparse_qonnx.export.tracer import trace
    from sparse_qonnx.passes import finalize

    if builder is not None:
        model = load_weights(builder, model)
    elif isinstance(model, (str, os.PathLike)):
        model = load_model(model, safe_mode=safe_mode, custom_objects=custom_objects)
    source = describe_source(model)
    result = finalize(trace(model).graph.build(), input_precision, source)
    _refuse_without_float64(result)
    if path is not None:
        write_model(result, path)
    return result


_FLOAT32_ONLY = frozenset({"Conv", "ThresholdedRelu"})
"""Operators that onnxruntime computes in float32 only."""


def _refuse_without_float64(model: ModelProto) -> None:
    for name in float64_nodes(model):
        node = next(node for node in model.graph.node if node.name == name)
        if node.op_type in _FLOAT32_ONLY:
            raise PrecisionError(
                f"node {name!r} ({node.op_type})",
                f"needs {infer_grids(model).nodes[name].bits} bits to be exact; onnxruntime has it in float32 only",
                allowed="at most 24 bits",
                fix="quantize its input or its weights to fewer bits",
            )


def _require_keras() -> None:
    try:
        import hgq  # noqa: F401
        import keras  # noqa: F401
        import sparsepixels  # noqa: F401
    except ImportError as error:
        raise ToolError(
            "export", f"needs a package that is not installed ({error})", fix="pip install 'sparse-qonnx[keras]'"
        ) from error
