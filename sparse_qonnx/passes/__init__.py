"""Graph passes: each takes a model and returns one. The order is the table below."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnx import ModelProto

from sparse_qonnx.graph import with_metadata
from sparse_qonnx.passes.annotate import SOURCE_KEY, annotate
from sparse_qonnx.passes.assign_float_types import assign_float_types
from sparse_qonnx.passes.attach_functions import attach_functions
from sparse_qonnx.passes.carry_divisors import carry_divisors
from sparse_qonnx.passes.input_precision import state_input_precision
from sparse_qonnx.passes.remembered import proven_once
from sparse_qonnx.passes.remove_unused import remove_unused
from sparse_qonnx.passes.standard_quants import use_standard_quants

PIPELINE: tuple[tuple[str, Callable[[ModelProto], ModelProto]], ...] = (
    ("carry_divisors", carry_divisors),  # first: what follows proves the numerators
    ("use_standard_quants", use_standard_quants),  # needs the grids; before types, as Quant is float32 only
    ("assign_float_types", assign_float_types),  # the proof of exactness: float32, float64 or a refusal
    ("remove_unused", remove_unused),  # the two passes above leave constants behind
    ("attach_functions", attach_functions),  # after the last pass that adds nodes
    ("annotate", annotate),
)


@proven_once()
def finalize(
    model: ModelProto,
    input_precision: str | Mapping[str, str] | None = None,
    source: Mapping[str, str] | None = None,
) -> ModelProto:
    """Turn a freshly written graph into the file a user gets.

    Args:
        model: output of `GraphBuilder.build()`, float32 throughout.
        input_precision: `ap_[u]fixed<W,I>` for every input, or a mapping from input name; None derives it from the
            quantizers that read the input, where they all do.
        source: what the model was made from, kept as metadata `sparse_qonnx.source.<key>`.

    Raises:
        PrecisionError: if a format cannot be read, or a tensor needs more than 53 bits.
    """
    model = state_input_precision(model, input_precision)
    model = with_metadata(model, ((SOURCE_KEY + key, value) for key, value in (source or {}).items()))
    for _, apply in PIPELINE:
        model = apply(model)
    return model
