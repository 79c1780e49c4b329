"""Levels of the nodes that a builder makes, as if no register were put between them."""

from __future__ import annotations

from sparse_qonnx.rtl.builder import Builder
from sparse_qonnx.rtl.delay import AT_ONCE, Arrival, arrival


class Depths:
    """Asked about nodes while they are made.

    Args:
        builder: where they are made.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._known: list[Arrival] = []

    def level(self, node: int) -> float:
        """Levels between the sources and a node."""
        nodes = self._builder.nodes
        for i in range(len(self._known), len(nodes)):
            found = nodes[i]
            given = [self._known[a] for a in found.args]
            self._known.append(arrival(found, [nodes[a] for a in found.args], given) if found.args else AT_ONCE)
        return self._known[node].level
