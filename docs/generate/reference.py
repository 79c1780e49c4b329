"""The reference pages: public Python names, firmware options, operators, each from where the code keeps them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path

from supported import operator_rows

import sparse_qonnx as sq
from sparse_qonnx.hls.options import LAYER_OPTIONS, OPTIONS, Option

RETURNED = (
    "sparse_qonnx.hls.project.HlsProject",
    "sparse_qonnx.hls.census.Census",
    "sparse_qonnx.hls.report.SynthesisReport",
    "sparse_qonnx.comparison.Report",
    "sparse_qonnx.comparison.ComparisonTable",
)
"""What the public functions return, and people use."""


def pages(_docs: Path) -> dict[str, str]:
    """The pages, by path below the generated folder."""
    return {
        "api.md": "\n".join(_api()),
        "options.md": "\n".join(_options()),
        "supported.md": "\n".join([*operator_rows(), ""]),
    }


def _api() -> Iterator[str]:
    yield from ("# Python", "", "`import sparse_qonnx as sq`; every name is imported when it is first used.", "")
    yield "```{eval-rst}"
    for name in sq.__all__:
        public = getattr(sq, name)
        if inspect.isfunction(public):
            yield from (f".. autofunction:: sparse_qonnx.{name}", "")
        elif inspect.isclass(public) and not issubclass(public, sq.SparseQonnxError):
            yield from (f".. autoclass:: sparse_qonnx.{name}", "   :members:", "")
    yield from ("```", "", "## What they return", "", "```{eval-rst}")
    for name in RETURNED:
        yield from (f".. autoclass:: {name}", "   :members:", "")
    yield from ("```", "", "## Errors", "", "```{eval-rst}", ".. automodule:: sparse_qonnx.errors", "   :members:", "")
    yield from ("```", "")


def _options() -> Iterator[str]:
    yield from (
        "# Firmware options",
        "",
        "Keys of `hls.yml` and of `sq.to_hls(..., config={...})`; how they are used is in [Firmware](../firmware.md).",
        "",
    )
    yield from ("## Of the whole project", "", *_table(OPTIONS), "")
    yield from ("## Of one layer", "", "Under `layers:` and the layer's name.", "", *_table(LAYER_OPTIONS), "")


def _table(options: Mapping[str, Option]) -> Iterator[str]:
    yield from ("| key | default | allowed | what it is |", "|---|---|---|---|")
    for key, option in options.items():
        default = "chosen" if option.default is None else f"`{option.default}`"
        yield f"| `{key}` | {default} | {_escaped(option.allowed)} | {_escaped(option.help)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
