"""Where a node comes from: its Keras layer, and the function whose body it was in. The file says so, not a name.

A node says which layer it belongs to in its own metadata. Most tools keep those of the model and the names of tensors,
but not those of nodes, so the model says it once more, by tensor. What neither says is a layer of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from onnx import FunctionProto, ModelProto, NodeProto

from sparse_qonnx.uses import all_graphs, subgraphs

LAYER_KEY = "sparse_qonnx.layer"
"""Metadata property of a node: its layer."""
LAYERS_KEY = "sparse_qonnx.layers"
"""Metadata property of a model: for each layer the tensors that its nodes make, as JSON."""
PART_OF = "Part of the function "
"""How the documentation of a node in a function's body begins; it stays with the node when a tool inlines that."""


def assign(node: NodeProto, layer: str) -> None:
    """Write into a node which layer it belongs to."""
    kept = [entry for entry in node.metadata_props if entry.key != LAYER_KEY]
    del node.metadata_props[:]
    node.metadata_props.extend(kept)
    node.metadata_props.add(key=LAYER_KEY, value=layer)


def assigned(node: NodeProto) -> str:
    """The layer that a node says it belongs to; "" where it says nothing."""
    return next((entry.value for entry in node.metadata_props if entry.key == LAYER_KEY), "")


def layers_entry(model: ModelProto) -> tuple[str, str]:
    """The model's metadata property that repeats what its nodes say."""
    tensors: dict[str, list[str]] = {}
    for node in model.graph.node:
        if assigned(node):
            tensors.setdefault(assigned(node), []).extend(name for name in node.output if name)
    return LAYERS_KEY, json.dumps(tensors, ensure_ascii=False, separators=(",", ":"))


def layers_of(nodes: Iterable[NodeProto], model: ModelProto) -> dict[str, str]:
    """The layer of each of the nodes of a model, by the node's name."""
    by_tensor = {tensor: layer for layer, tensors in _stated(model).items() for tensor in tensors}
    found = {}
    for node in nodes:
        stated = (by_tensor[name] for name in node.output if name in by_tensor)
        found[node.name] = assigned(node) or next(stated, node.name)
    return found


def _stated(model: ModelProto) -> Mapping[str, Iterable[str]]:
    """What the model's metadata say; nothing where they are not what we write, as a file may come from anywhere."""
    text = next((entry.value for entry in model.metadata_props if entry.key == LAYERS_KEY), "{}")
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    known = isinstance(read, dict) and all(
        isinstance(v, list) and all(isinstance(t, str) for t in v) for v in read.values()
    )
    return read if known else {}


def mark_parts(function: FunctionProto) -> None:
    """Write into every node of a function's body that it is part of it."""
    stack = [*function.node]
    while stack:
        node = stack.pop()
        node.doc_string = f"{PART_OF}{function.domain}::{function.name}"
        stack += [inner for graph in subgraphs(node) for inner in graph.node]


def inlined_function(node: NodeProto) -> str:
    """The function, `domain::name`, whose body a node of a graph was written out of; "" for none."""
    inner = (n for graph in subgraphs(node) for part in all_graphs(graph) for n in part.node)
    texts = (n.doc_string.partition("\n")[0] for n in (node, *inner))
    return next((text.removeprefix(PART_OF) for text in texts if text.startswith(PART_OF)), "")
