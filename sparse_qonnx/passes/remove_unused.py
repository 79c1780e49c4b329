"""Remove constants that no node reads any more."""

from __future__ import annotations

from onnx import ModelProto


def remove_unused(model: ModelProto) -> ModelProto:
    """The same model without initializers (and their types) that nothing uses."""
    result = ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    used = {n for node in graph.node for n in node.input} | {v.name for v in graph.output}
    kept = [t for t in graph.initializer if t.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return result
