"""Remove constants that no node reads any more."""

from __future__ import annotations

from onnx import ModelProto

from sparse_qonnx.uses import used_tensors


def remove_unused(model: ModelProto) -> ModelProto:
    """The same model without initializers (and their types) that nothing uses."""
    result = ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    used = used_tensors(result)
    kept = [t for t in graph.initializer if t.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return result
