"""The one source of fresh names: for tensors, nodes, layers and C++ identifiers. Nothing else makes a name unique."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from onnx import GraphProto, ModelProto

from sparse_qonnx.uses import all_graphs


class Names:
    """Hands out names that are not taken, and remembers what it gave.

    Args:
        taken: names that exist; the empty one, which means "none" in ONNX, is never given.
        spelling: what a wanted name is made into before anything is asked of it.
        key: two names with the same key are the same.
        first: number of the first name that needs one.
    """

    def __init__(
        self,
        taken: Iterable[str] = (),
        *,
        spelling: Callable[[str], str] = str,
        key: Callable[[str], str] = str,
        first: int = 1,
    ) -> None:
        self._spelling, self._key, self._first = spelling, key, first
        self._taken = {"", *map(key, taken)}
        self._next: dict[str, int] = {}

    def __call__(self, wanted: str) -> str:
        """The wanted name, or the same with a number behind it where it is taken."""
        base = self._spelling(wanted)
        if base in self:
            return self.numbered(base)
        self.keep(base)
        return base

    def numbered(self, base: str) -> str:
        """The first of `base_1`, `base_2`, ... that is not taken."""
        n = self._next.get(self._key(base), self._first)
        while (candidate := f"{base}_{n}") in self:
            n += 1
        self._next[self._key(base)] = n + 1  # thousands of equal names must not be counted through each time
        self.keep(candidate)
        return candidate

    def __contains__(self, name: str) -> bool:
        return self._key(name) in self._taken

    def keep(self, name: str) -> None:
        """Say that a name is taken."""
        self._taken.add(self._key(name))

    def free(self, names: Iterable[str]) -> None:
        """Say that names are not taken after all."""
        self._taken.difference_update(map(self._key, names))

    @classmethod
    def of_tensors(cls, model: ModelProto) -> Names:
        """Fresh names for tensors of a model; what a subgraph makes has no name of the graph around it."""
        return cls(name for graph in all_graphs(model.graph) for name in _tensors(graph))

    @classmethod
    def of_nodes(cls, model: ModelProto) -> Names:
        """Fresh names for nodes of a model, those in subgraphs among them."""
        return cls(node.name for graph in all_graphs(model.graph) for node in graph.node)


def _tensors(graph: GraphProto) -> Iterable[str]:
    for values in (graph.input, graph.output, graph.value_info, graph.initializer):
        yield from (value.name for value in values)
    for node in graph.node:
        yield from node.input
        yield from node.output
