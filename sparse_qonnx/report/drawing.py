"""The graph of the layers as an inline SVG: one row a rank, lines from results to their readers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparse_qonnx.html import markup, render
from sparse_qonnx.layers import LayeredGraph, describe_shape, ranks

BOX = 210, 44
GAP = 24, 30
MARGIN = 6


@dataclass(frozen=True)
class Box:
    """An input or a layer, with the place of its upper left corner."""

    name: str
    detail: str
    target: str
    kind: str
    x: int
    y: int


def draw_graph(graph: LayeredGraph, targets: dict[str, str]) -> Any:
    """SVG of the graph.

    Args:
        graph: the layers.
        targets: the page's anchor of each layer, by name.

    Raises:
        ToolError: if jinja2 is not installed.
    """
    by_rank: dict[int, list[str]] = {}
    for name, rank in ranks(graph).items():
        by_rank.setdefault(rank, []).append(name)
    widest = max(len(names) for names in by_rank.values())
    skips = _skips(graph)
    width = widest * (BOX[0] + GAP[0]) - GAP[0] + 2 * (MARGIN + (GAP[0] if skips else 0))
    boxes: dict[str, Box] = {}
    for rank, names in by_rank.items():
        start = (width - len(names) * (BOX[0] + GAP[0]) + GAP[0]) // 2
        for place, name in enumerate(names):
            x, y = start + place * (BOX[0] + GAP[0]), MARGIN + rank * (BOX[1] + GAP[1])
            boxes[name] = Box(name, _description(graph, name), targets.get(name, "layers"), _kind(graph, name), x, y)
    edges = [
        _edge(boxes[source], boxes[layer.name], (source, layer.name) in skips)
        for layer in graph.layers.values()
        for source in layer.sources
    ]
    height = len(by_rank) * (BOX[1] + GAP[1]) - GAP[1] + 2 * MARGIN
    text = render(
        "graph.svg.j2",
        width=width,
        height=height,
        box_width=BOX[0],
        box_height=BOX[1],
        boxes=list(boxes.values()),
        edges=edges,
    )
    return markup(text)


def _description(graph: LayeredGraph, name: str) -> str:
    if name in graph.inputs:
        shape, kind = graph.inputs[name]
        return f"input {describe_shape(shape[1:])}, {kind or 'no stated type'}"
    layer = graph.layers[name]
    shapes = ", ".join(describe_shape(graph.shape(n)[1:]) for n in layer.outputs)
    return f"{shapes}: {layer.operators}"


def _kind(graph: LayeredGraph, name: str) -> str:
    if name in graph.inputs:
        return "input"
    return "sparse" if any(n in graph.maps for n in graph.layers[name].outputs) else "dense"


def _skips(graph: LayeredGraph) -> set[tuple[str, str]]:
    """Edges past a rank, which must go around its boxes."""
    rank = ranks(graph)
    pairs = ((source, layer.name) for layer in graph.layers.values() for source in layer.sources)
    return {(source, name) for source, name in pairs if rank[name] - rank[source] > 1}


def _edge(source: Box, target: Box, skips: bool) -> str:
    """Down from the middle of one box to the next, or around on the right side."""
    if skips:
        x, y = source.x + BOX[0], source.y + BOX[1] // 2
        end_x, end_y = target.x + BOX[0], target.y + BOX[1] // 2
        bow = max(x, end_x) + GAP[0] + 2
        return f"M{x},{y} C{bow},{y} {bow},{end_y} {end_x},{end_y}"
    x, y, end_x, end_y = source.x + BOX[0] // 2, source.y + BOX[1], target.x + BOX[0] // 2, target.y
    middle = (y + end_y) // 2
    return f"M{x},{y} C{x},{middle} {end_x},{middle} {end_x},{end_y}"
