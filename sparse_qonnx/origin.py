"""Where a node comes from: its Keras layer, and the function whose body it was in. The file says so, not a name.

A node says which layer it belongs to in its own metadata. Most tools keep those of the model and the names of tensors,
but not those of nodes, so the model says it once more, by tensor. What neither says is a layer of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import FunctionProto, ModelProto, NodeProto

from sparse_qonnx.uses import all_graphs, reads, subgraphs

LAYER_KEY = "sparse_qonnx.layer"
"""Metadata property of a node: its layer. Of a model, with a dot and a tensor's name behind it: that of its maker."""
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


def layer_entries(model: ModelProto) -> Iterator[tuple[str, str]]:
    """The model's metadata properties that repeat what its nodes say, of tensors on the way of the data.

    One a tensor, and only where its layer is called something else: tools that merge models refuse them where one
    property has two values.
    """
    live = {value.name for value in model.graph.input}
    for node in model.graph.node:
        if live.isdisjoint(reads(node)):
            continue
        live.update(node.output)
        for name in node.output:
            if name and assigned(node) and not assigned(node) == name == node.name:
                yield f"{LAYER_KEY}.{name}", assigned(node)


def layers_of(nodes: Iterable[NodeProto], model: ModelProto) -> dict[str, str]:
    """The layer of each of the nodes of a model, by the node's name."""
    stated = {entry.key: entry.value for entry in model.metadata_props}
    found = {}
    for node in nodes:
        repeated = (stated[key] for name in node.output if (key := f"{LAYER_KEY}.{name}") in stated)
        found[node.name] = assigned(node) or next(repeated, "") or node.name
    return found


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
