"""Who reads what: a node reads its inputs and what its subgraphs (branches of `If`, bodies of `Loop`) read outside."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from onnx import GraphProto, ModelProto, NodeProto


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs in a node's attributes."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def all_graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """A graph and every graph within it; a stack, because a file must not choose the depth of a recursion."""
    stack = [graph]
    while stack:
        found = stack.pop()
        yield found
        stack += [inner for node in found.node for inner in subgraphs(node)]


def reads(node: NodeProto) -> tuple[str, ...]:
    """Tensors that a node needs, each once: its inputs, then those outside of its subgraphs that these read."""
    outside = (name for graph in subgraphs(node) for name in _reads_outside(graph))
    return tuple(dict.fromkeys(name for name in (*node.input, *outside) if name))


def _reads_outside(graph: GraphProto) -> Iterator[str]:
    made = {v.name for v in (*graph.input, *graph.initializer)} | {n for node in graph.node for n in node.output}
    read = (*(name for node in graph.node for name in reads(node)), *(v.name for v in graph.output))
    return (name for name in read if name not in made)


def live(nodes: Collection[NodeProto], outputs: Iterable[str]) -> list[NodeProto]:
    """The nodes, in topological order as they are given, that some output depends on."""
    needed, kept = {*outputs}, []
    for node in reversed(list(nodes)):
        if needed.intersection(node.output):
            needed.update(reads(node))
            kept.append(node)
    return kept[::-1]


def used_tensors(model: ModelProto) -> set[str]:
    """Names of the tensors that a node of the main graph reads or that are outputs of the model."""
    return {value.name for value in model.graph.output}.union(*(reads(node) for node in model.graph.node))
