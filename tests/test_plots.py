"""Pictures: what is drawn is what the model computes; names are text, whatever they hold."""

from __future__ import annotations

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
from sparse_qonnx.layers import LayeredGraph, ranks
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
    return result


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "$x_{1$ $\\frac", "&amp;\u202e"])
def test_hostile_names_are_text(small_model: Path, small_events: np.ndarray, name: str) -> None:
    model = renamed(read_model(small_model), "conv", name)
    for picture in (sq.plot_event(model, small_events[3]), sq.plot_precision(model)):
        root = ElementTree.fromstring(picture._repr_html_())
        assert not [element for element in root.iter() if element.tag.lower().endswith("script")]
        assert any(name in (element.text or "") for element in root.iter())


def test_the_same_picture_gives_the_same_bytes(small_model: Path) -> None:
    first, second = (to_svg(sq.plot_precision(small_model)) for _ in range(2))
    assert first == second
    assert "currentColor" in first
    assert "#000000" not in first
