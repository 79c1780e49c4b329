"""The report: one file with everything in it, no script, nothing fetched."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from onnx import ModelProto

import sparse_qonnx
from sparse_qonnx import html
from sparse_qonnx.comparison import Report
from sparse_qonnx.datasets import Events, InMemoryEvents
from sparse_qonnx.datasets.events import files_of
from sparse_qonnx.datasets.random import random_inputs
from sparse_qonnx.errors import SparseQonnxError
from sparse_qonnx.files import ModelSource, files_of_model, path_of, read_model, write_bytes
from sparse_qonnx.hls import to_hls
from sparse_qonnx.layers import LayeredGraph, describe_shape
from sparse_qonnx.passes.remembered import proven_once
from sparse_qonnx.plots import plot_census, plot_event, plot_precision
from sparse_qonnx.plots.figure import to_svg
from sparse_qonnx.report.drawing import draw_graph
from sparse_qonnx.report.facts import Firmware, layer_facts
from sparse_qonnx.system.atomic import scratch_folder
from sparse_qonnx.system.outputs import output_file
from sparse_qonnx.text import printable
from sparse_qonnx.verify import verify

PICTURES = 3
EVENTS = 100
COLUMNS = 2
RANDOM_EDGES = 2
"""The first random events are an empty and a full one: to compare on, not to look at."""

Say = Callable[[str], None]


@proven_once()
def write_report(
    model: ModelSource,
    output: str | os.PathLike[str],
    events: Events | None = None,
    *,
    most_events: int = EVENTS,
    pictures: int = PICTURES,
    firmware: bool = True,
    config: Mapping[str, Any] | None = None,
    say: Say = lambda _: None,
) -> Report:
    """Write the report of a model: one HTML file that needs no network.

    Args:
        model: the ONNX file.
        output: HTML file to write.
        events: what to draw and compare on; random ones by default.
        most_events: how many of them, from the first, are compared.
        pictures: how many are drawn.
        firmware: whether to write an HLS project and count its operations.
        config: options of that, see `to_hls`.
        say: called with what is being done.

    Returns:
        What the comparison of all implementations found.

    Raises:
        ModelFileError: the model cannot be read.
        InputDataError: the events do not fit it.
        ToolError: jinja2 or matplotlib is not installed.
        OutputPathError: the report cannot be written.
    """
    path = path_of(model)
    output_file(output, [*files_of_model(model), *(file.path for file in files_of(events or InMemoryEvents({})))])
    html.markup("")  # before the work, not after it
    proto = read_model(model)
    graph = LayeredGraph(proto)
    given = random_inputs(proto, most_events) if events is None else events.read(0, min(most_events, len(events)))
    shown = InMemoryEvents(given)
    say("drawing")
    first = min(RANDOM_EDGES if events is None else 0, len(shown) - 1)
    drawn = [_picture(proto, shown, n) for n in range(first, min(first + pictures, len(shown)))]
    precision = html.markup(to_svg(plot_precision(proto)))
    found, problem = None, "Not asked for."
    with scratch_folder() as scratch:
        if firmware:
            say("counting what the firmware instantiates")
            found, problem = _firmware(proto, scratch / "firmware", config)
        say("comparing all implementations")
        report = verify(proto, shown)
        text = html.render(
            "report.html.j2",
            version=sparse_qonnx.__version__,
            title=printable(path.name) if path else proto.graph.name,
            facts=_facts(path.stat().st_size if path else proto.ByteSize(), graph),
            graph=draw_graph(graph, _targets(graph)),
            layers=_layers(graph, found),
            precision=precision,
            events_from=_origin(events, len(shown)),
            pictures=drawn,
            firmware_problem=problem,
            **_firmware_values(found),
            report=report,
            comparison=report.table.to_html_table(report.remarks[:-1]),
        )
    write_bytes(text.encode(), output)
    return report


def _picture(proto: ModelProto, events: InMemoryEvents, number: int) -> Any:
    figure = plot_event(proto, events.read(number, number + 1), title=f"event {number}", columns=COLUMNS)
    return html.markup(to_svg(figure))


def _origin(events: Events | None, shown: int) -> str:
    if events is None:
        return f"Of {shown:,} random events. The first is empty, in the second every pixel is lit: they are not drawn."
    return f"The first of {len(events):,} given events; {shown:,} are compared below."


def _targets(graph: LayeredGraph) -> dict[str, str]:
    return {name: f"layer-{n}" for n, name in enumerate(graph.layers)}


def _layers(graph: LayeredGraph, firmware: Firmware | None) -> list[dict[str, Any]]:
    targets = _targets(graph)
    return [
        {
            "name": layer.name,
            "target": targets[layer.name],
            "operators": layer.operators,
            "facts": layer_facts(graph, layer, firmware),
        }
        for layer in graph.layers.values()
    ]


def _facts(size: int, graph: LayeredGraph) -> list[tuple[str, str]]:
    model = graph.model
    kept = [graph.shape(tensor)[1] for tensor in graph.maps]
    numbers = sum(weights.values.size for layer in graph.layers.values() for weights in layer.weights)
    inputs = [
        (f"Input {name}", f"{describe_shape(shape[1:])}, {kind or 'no stated type'}")
        for name, (shape, kind) in graph.inputs.items()
    ]
    return [
        *inputs,
        ("Output", ", ".join(f"{v.name} {describe_shape(graph.shape(v.name)[1:])}" for v in model.graph.output)),
        ("Kept pixels", f"at most {max(n for n in kept if isinstance(n, int))}" if kept else "not sparse"),
        ("Weights", f"{numbers:,}"),
        ("File", f"{size:,} bytes, {len(model.graph.node)} nodes, {len(model.functions)} functions"),
    ]


def _firmware(proto: ModelProto, folder: Path, config: Mapping[str, Any] | None) -> tuple[Firmware | None, str]:
    """The project and its census; or why there is none, which a report can say as well as anything else."""
    try:
        project = to_hls(proto, folder, config=config)
        return Firmware(project, project.census()), ""
    except SparseQonnxError as error:
        return None, f"No firmware: {error}"


def _firmware_values(firmware: Firmware | None) -> dict[str, Any]:
    if firmware is None:
        return {"firmware": "", "census_picture": "", "firmware_tables": []}
    config, census = firmware.project.config, firmware.census
    times = f"an event every {census.interval:,} cycles, {census.latency:,} cycles from an event to its outputs"
    return {
        "firmware": f"{config.backend}, {config.part}, {config.clock_period:g} ns: {times}, by the schedule.",
        "census_picture": html.markup(to_svg(plot_census(census))),
        "firmware_tables": [firmware.project.choices.to_html_table(), census.to_html_table()],
    }
