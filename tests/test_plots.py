"""Pictures: what is drawn is what the model computes; names are text, whatever they hold."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest

pytest.importorskip("matplotlib", reason="needs the [plot] extra")

import sparse_qonnx as sq
from sparse_qonnx.errors import InputDataError, ToolError
from sparse_qonnx.files import read_model
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.layers import LayeredGraph, ranks
from sparse_qonnx.passes import finalize
from sparse_qonnx.plots import figure
from sparse_qonnx.plots.event import stages
from sparse_qonnx.plots.figure import to_svg
from sparse_qonnx.plots.precision import widths
from sparse_qonnx.runtime import run_tensors


def test_layers_of_a_file(small_model: Path) -> None:
    graph = LayeredGraph(read_model(small_model))
    assert list(graph.layers) == ["reduce", "conv", "pool", "flatten", "dense", "softmax"]
    assert graph.layers["conv"].sources == ["reduce"]
    assert [w.name for w in graph.layers["conv"].weights] == ["conv.kernel", "conv.bias"]
    assert [q.node for q in graph.layers["conv"].quantizers] == ["conv.iq"]
    assert graph.layers["pool"].outputs == ["pool"]
    assert graph.maps["pool"].coords == "pool.coords"
    assert (graph.maps["pool"].height, graph.maps["pool"].width) == (3, 4)
    assert list(ranks(graph).values()) == [0, 1, 2, 3, 4, 5, 6]
    assert "floating point" in graph.why_exact(graph.layers["softmax"])
    assert "float32 holds 24" in graph.why_exact(graph.layers["dense"])


def test_widths(small_model: Path) -> None:
    graph = LayeredGraph(read_model(small_model))
    rows = {row.name: row for layer in graph.layers.values() for row in widths(graph, layer)}
    assert (rows["conv.iq"].left, rows["conv.iq"].right) == ([0], [3])  # ap_ufixed<3,0>
    assert rows["reduce"].left.tolist() == [1]  # of ap_ufixed<6,1>
    assert rows["reduce"].right.tolist() == [5]
    kernel = np.asarray(graph.layers["conv"].weights[0].values).reshape(-1)
    total = rows["conv.kernel"].left + rows["conv.kernel"].right
    assert (total[kernel == 0] == 0).all()
    assert (total[kernel == 0.5] == 1).all()
    assert (total[kernel == -0.875] == 4).all()


def test_plot_event_draws_what_the_model_computes(small_model: Path, small_events: np.ndarray) -> None:
    event = small_events[3]
    picture = sq.plot_event(small_model, event, columns=2)
    wanted = run_tensors(small_model, {"image": event[None]}, ["conv", "reduce.coords", "pool", "softmax"])
    titles = [axes.get_title(loc="left").split(" ")[0] for axes in picture.axes if axes.get_title(loc="left")]
    assert titles == ["image", "conv", "pool", "softmax"]
    image, conv, _, output = picture.axes
    kept = wanted["reduce.coords"][0]
    assert len(image.patches) == kept.any(axis=1).sum()
    drawn = np.asarray(conv.images[0].get_array())
    for (row, column), features in zip(kept, wanted["conv"][0], strict=True):
        if row:
            assert drawn[row - 1, column - 1] == np.abs(features).max()
    assert np.isfinite(drawn).sum() == kept.any(axis=1).sum()
    assert [bar.get_width() for bar in output.patches] == wanted["softmax"][0].tolist()


@pytest.mark.parametrize("pixels", [0, 48])
def test_plot_event_at_the_edges(small_model: Path, pixels: int) -> None:
    """Nothing lit, and everything."""
    event = np.full((1, 6, 8, 1), 1.0 if pixels else 0.0, np.float32)
    assert len(sq.plot_event(small_model, event).axes[0].patches) == min(pixels, 5)


def test_refusals(small_model: Path, small_events: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputDataError, match="holds 2 events"):
        sq.plot_event(small_model, small_events[:2])
    with pytest.raises(InputDataError, match="has shape"):
        sq.plot_event(small_model, small_events[0][:4])
    monkeypatch.setattr(figure, "_figure_class", figure._figure_class.__wrapped__)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ToolError, match=r"sparse-qonnx\[plot\]"):
        sq.plot_precision(small_model)


def test_stages_are_the_ends_of_chains(small_model: Path) -> None:
    graph = LayeredGraph(read_model(small_model))
    assert [(s.layer.name, s.tensor, s.image) for s in stages(graph)] == [
        ("reduce", "conv.iq", "image"),
        ("conv", "conv", ""),
        ("pool", "pool", ""),
    ]


def renamed(model: onnx.ModelProto, old: str, new: str) -> onnx.ModelProto:
    """The model with another name for a layer and its tensors."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    for value in (*graph.value_info, *graph.output, *graph.initializer):
        value.name = value.name.replace(old, new)
    for node in graph.node:
        node.name = node.name.replace(old, new)
        node.input[:] = [name.replace(old, new) for name in node.input]
        node.output[:] = [name.replace(old, new) for name in node.output]
        for entry in node.metadata_props:
            entry.value = entry.value.replace(old, new)
    return result


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "$x_{1$ $\\frac", "&amp;\u202e"])
def test_hostile_names_are_text(small_model: Path, small_events: np.ndarray, name: str) -> None:
    model = renamed(read_model(small_model), "conv", name)
    for picture in (sq.plot_event(model, small_events[3]), sq.plot_precision(model)):
        root = ElementTree.fromstring(picture._repr_html_())
        assert not [element for element in root.iter() if element.tag.lower().endswith("script")]
        assert any(name[:14] in (element.text or "") for element in root.iter())


def test_the_same_picture_gives_the_same_bytes(small_model: Path) -> None:
    first, second = (to_svg(sq.plot_precision(small_model)) for _ in range(2))
    assert first == second
    assert "currentColor" in first
    assert "#000000" not in first, "black text and lines take the colour of the page"
    assert ElementTree.fromstring(first).attrib["fill"] == "currentColor"


@pytest.fixture(scope="module")
def branched() -> onnx.ModelProto:
    """Two images, each with a residual sum, and a dense layer so wide that it computes in float64."""
    rng = np.random.default_rng(7)

    def weights(*shape: int) -> np.ndarray:
        return rng.integers(-7, 8, shape).astype(np.float32) / 8

    g = GraphBuilder("branched")
    flat = []
    for name in "ab":
        g.layer = f"reduce_{name}"
        x, coords = g.sparse(
            "InputReduce",
            [g.input(f"image_{name}", [12, 12, 2])],
            [f"reduce_{name}", f"reduce_{name}.coords"],
            n_max_pixels=9,
            threshold=0.25,
        )
        before = x
        for layer in ("conv", "deep"):
            g.layer = f"{layer}_{name}"
            kernel = g.quantized_constant(f"{layer}_{name}.kernel", weights(2, 2, 3, 3))
            (x,) = g.sparse("SparseConv", [x, coords, kernel], [f"{layer}_{name}"], kernel_shape=[3, 3])
        g.layer = f"sum_{name}"
        (x,) = g.node("Add", [before, x], [f"sum_{name}"])
        g.layer = f"flat_{name}"
        (x,) = g.sparse("SparseToDense", [x, coords], [f"flat_{name}.dense"], spatial_shape=[12, 12])
        flat += g.node("Flatten", [x], [f"flat_{name}"])
    g.layer = "both"
    (x,) = g.node("Concat", flat, ["both"], axis=1)
    g.layer = "dense"
    (x,) = g.node("MatMul", [x, g.quantized_constant("dense.kernel", weights(576, 40))], ["dense"])
    g.output(x)
    return finalize(g.build(), "ap_ufixed<6,1>")


def test_branches(branched: onnx.ModelProto) -> None:
    graph = LayeredGraph(branched)
    assert graph.layers["sum_a"].sources == ["reduce_a", "deep_a"]
    assert graph.layers["both"].sources == ["flat_a", "flat_b"]
    assert [w.values.shape for w in graph.layers["dense"].weights] == [(576, 40)]
    assert "float64 holds 53" in graph.why_exact(graph.layers["dense"])
    assert ranks(graph)["sum_a"] == 4
    drawn = [stage.layer.name for stage in stages(graph)]
    assert drawn == [f"{layer}_{name}" for name in "ab" for layer in ("reduce", "conv", "deep", "sum")]


def test_several_inputs(branched: onnx.ModelProto) -> None:
    event = {f"image_{name}": np.eye(12, dtype=np.float32)[..., None].repeat(2, axis=2) for name in "ab"}
    picture = sq.plot_event(branched, event)
    assert len([axes for axes in picture.axes if axes.get_title(loc="left").startswith("image")]) == 2
    with pytest.raises(InputDataError, match="a mapping from image_a, image_b"):
        sq.plot_event(branched, event["image_a"])


def test_edges_past_a_layer_go_around_it(branched: onnx.ModelProto) -> None:
    pytest.importorskip("jinja2", reason="needs the [report] extra")
    from sparse_qonnx.report.drawing import draw_graph

    root = ElementTree.fromstring(draw_graph(LayeredGraph(branched), {}))
    width = int(root.attrib["width"])
    boxes = list(root.iter("rect"))
    edges = [element.attrib["d"] for element in root.iter("path") if element.attrib.get("class") == "edge"]
    assert len(boxes) == 14
    assert len(edges) == 15
    assert all(0 <= float(number) <= width for d in edges for number in re.findall(r"[\d.]+(?=,)", d))
    ends = [re.findall(r"(\d+),(\d+)", d) for d in edges]
    past = [points for points in ends if int(points[-1][1]) - int(points[0][1]) > 100]
    assert len(past) == 2
    assert all(int(points[1][0]) > int(points[0][0]) for points in past), "they leave to the right"
