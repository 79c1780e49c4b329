"""docs/tools.md: what becomes of our files in other people's tools, each of them run on two files of ours.

`python docs/tools_support.py` writes the table into the page; a test runs every row and compares.
"""

from __future__ import annotations

import io
import logging
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.compose
import onnx.inliner
import onnx.version_converter
import onnxruntime
from onnx import ModelProto
from onnxruntime import GraphOptimizationLevel
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model
from qonnx_files import EVENTS, events, expected, files, write_between

import sparse_qonnx as sq
from sparse_qonnx._paths import find_library
from sparse_qonnx._workarounds import qonnx_ir_version
from sparse_qonnx.errors import SparseQonnxError
from sparse_qonnx.files import read_model, write_model
from sparse_qonnx.layers import LayeredGraph
from sparse_qonnx.runtime import run_tensors

TYPE = "ap_ufixed<6,1>"
"""Of a pixel in both files."""

TARGET = Path(__file__).resolve().parent / "tools.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

# ---- the tools ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What is done to a file.

    Attributes:
        package: that does it, as pip knows it.
        apply: gives the file as the tool leaves it; the folder may be used.
        refused: what the refusal of firmware says, as a pattern; "" where firmware is made, and the same.
        note: what a user should know.
        only: the one file whose firmware is refused; both where it is empty.
        inputs: which tensors of the original file are the inputs now; the image where it is empty.
    """

    package: str
    apply: Callable[[ModelProto, Path], ModelProto]
    refused: str = ""
    note: str = ""
    only: str = ""
    inputs: tuple[str, ...] = ()


def _simplify(model: ModelProto, _: Path) -> ModelProto:
    import onnxsim

    return onnxsim.simplify(model)[0]


def _slim(model: ModelProto, _: Path) -> ModelProto:
    import onnxslim

    return onnxslim.slim(model)


def _optimize(model: ModelProto, _: Path) -> ModelProto:
    import onnxoptimizer

    return onnxoptimizer.optimize(model)


def _surgeon(*, fold: bool) -> Callable[[ModelProto, Path], ModelProto]:
    def apply(model: ModelProto, _: Path) -> ModelProto:
        import onnx_graphsurgeon
        from onnx_graphsurgeon.logger import G_LOGGER

        G_LOGGER.severity = G_LOGGER.CRITICAL
        graph = onnx_graphsurgeon.import_onnx(model)
        graph = graph.fold_constants() if fold else graph
        return onnx_graphsurgeon.export_onnx(graph.cleanup().toposort())

    return apply


def _script(model: ModelProto, _: Path) -> ModelProto:
    import onnxscript.optimizer

    return onnxscript.optimizer.optimize(model)


def _converted(version: int) -> Callable[[ModelProto, Path], ModelProto]:
    return lambda model, _: onnx.version_converter.convert_version(model, version)


def _external(model: ModelProto, folder: Path) -> ModelProto:
    path = folder / "external.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="external.bin", size_threshold=0)
    return read_model(path)


def _form(ending: str) -> Callable[[ModelProto, Path], ModelProto]:
    def apply(model: ModelProto, folder: Path) -> ModelProto:
        onnx.save_model(model, folder / f"m.{ending}")
        return onnx.load_model(folder / f"m.{ending}")

    return apply


def _saved(level: GraphOptimizationLevel, *, native: bool = False) -> Callable[[ModelProto, Path], ModelProto]:
    """As onnxruntime saves it, `optimized_model_filepath`."""

    def apply(model: ModelProto, folder: Path) -> ModelProto:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = level
        options.optimized_model_filepath = str(folder / "optimized.onnx")
        if native:
            sq.register(options)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(folder / "optimized.onnx")

    return apply


def _cleaned(model: ModelProto, _: Path) -> ModelProto:
    with qonnx_ir_version(model.ir_version):
        return cleanup_model(ModelWrapper(model, make_deepcopy=True)).model


def _merged(model: ModelProto, _: Path) -> ModelProto:
    """Behind a model that passes the image on, and which imports the same operator sets."""
    net = sq.Network("before")
    net.output(net.op("Identity", [net.input("x", (6, 8, 1))], name="y"))
    before = net.build("ap_ufixed<6,1>")
    for key in ("sparse_qonnx.arithmetic", "sparse_qonnx.source.packages"):
        (value,) = (entry.value for entry in model.metadata_props if entry.key == key)
        next(entry for entry in before.metadata_props if entry.key == key).value = value
    return onnx.compose.merge_models(before, model, [("y", "image")])


def _prefixed(model: ModelProto, _: Path) -> ModelProto:
    return onnx.compose.add_prefix(model, "left_")


def _cut(*inputs: str) -> Callable[[ModelProto, Path], ModelProto]:
    """Only what comes behind some tensors."""

    def apply(model: ModelProto, folder: Path) -> ModelProto:
        bare = ModelProto()
        bare.CopyFrom(model)
        del bare.graph.quantization_annotation[:]
        write_model(bare, folder / "whole.onnx")
        target = model.graph.output[0].name
        onnx.utils.extract_model(str(folder / "whole.onnx"), str(folder / "cut.onnx"), list(inputs), [target])
        return onnx.load(folder / "cut.onnx")

    return apply


_UNTYPED = r"has no stated fixed-point type"
_WRITTEN_OUT = r"is a part of the function .* written out"
_SAY = "drops the model's metadata: give `input_precision` to `qonnx-to-hls` again"
_LEVEL = GraphOptimizationLevel

ROWS: dict[str, Row] = {
    "`onnxsim.simplify`": Row("onnxsim", _simplify),
    "`onnxslim.slim`": Row("onnxslim", _slim, note="folds the weights' `Quant`"),
    "`onnxoptimizer.optimize`": Row("onnxoptimizer", _optimize),
    "`onnx.version_converter`, to 21": Row(
        "onnx", _converted(21), note="drops the function bodies; they are added again"
    ),
    "`onnx.version_converter`, to 23": Row(
        "onnx", _converted(23), note="drops the function bodies; they are added again"
    ),
    "`onnx.shape_inference`": Row("onnx", lambda model, _: onnx.shape_inference.infer_shapes(model)),
    "external data": Row("onnx", _external),
    "JSON form": Row("onnx", _form("json"), note="as `onnx.load_model` gives it; onnxruntime reads no JSON"),
    "textproto form": Row("onnx", _form("textproto"), note="as `onnx.load_model` gives it"),
    "`onnx.compose.add_prefix`": Row("onnx", _prefixed, note="the input's type follows its new name"),
    "`onnx.compose.merge_models`": Row(
        "onnx",
        _merged,
        note="refuses two models with different values of one metadata property: delete it in one of them",
    ),
    "`onnx.utils.extract_model`, at an image": Row(
        "onnx", _cut("image"), _UNTYPED, f"asks for a file without quantization annotations; {_SAY}"
    ),
    "`onnx.utils.extract_model`, at features and coordinates": Row(
        "onnx",
        _cut("lane", "reduce.coords"),
        r"input 'reduce\.coords': holds coordinates",
        "firmware finds the pixels of an image itself",
        inputs=("lane", "reduce.coords"),
    ),
    "`onnx.inliner`, all functions": Row("onnx", lambda m, _: onnx.inliner.inline_local_functions(m), _WRITTEN_OUT),
    "`onnx.inliner`, one function": Row(
        "onnx",
        lambda m, _: onnx.inliner.inline_selected_functions(m, [("sparse_qonnx.ops", "SparsePool")]),
        _WRITTEN_OUT,
    ),
    "`onnxscript.optimizer.optimize`": Row("onnxscript", _script, _WRITTEN_OUT, "writes all functions out"),
    "graphsurgeon, `cleanup().toposort()`": Row("onnx-graphsurgeon", _surgeon(fold=False), _UNTYPED, _SAY),
    "graphsurgeon, `fold_constants()` as well": Row("onnx-graphsurgeon", _surgeon(fold=True), _UNTYPED, _SAY),
    "onnxruntime, saved, nothing optimized": Row("onnxruntime", _saved(_LEVEL.ORT_DISABLE_ALL), _WRITTEN_OUT),
    "onnxruntime, saved, basic": Row("onnxruntime", _saved(_LEVEL.ORT_ENABLE_BASIC), _WRITTEN_OUT),
    "onnxruntime with our kernels, saved, basic": Row(
        "onnxruntime",
        _saved(_LEVEL.ORT_ENABLE_BASIC, native=True),
        r"\(Gemm\): has no hardware",
        "makes one `Gemm` of a dense layer in float32; saved with `ORT_DISABLE_ALL` it stays two nodes",
        only="narrow",
    ),
    "onnxruntime with our kernels, saved, nothing optimized": Row(
        "onnxruntime", _saved(_LEVEL.ORT_DISABLE_ALL, native=True)
    ),
    "`qonnx-cleanup`": Row("qonnx", _cleaned, note="renames tensors; all of qonnx is in [its own table](qonnx.md)"),
}


# ---- running a row --------------------------------------------------------------------------------------------------


@contextmanager
def quiet() -> Iterator[None]:
    """Tools talk while they work."""
    onnxruntime.set_default_logger_severity(3)
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        onnxruntime.set_default_logger_severity(2)
        logging.disable(logging.NOTSET)


def installed(row: Row) -> str:
    """Version of the package; "" where it is not installed."""
    try:
        return version(row.package)
    except PackageNotFoundError:
        return ""


@dataclass(frozen=True)
class Outcome:
    """What a file is good for after the tool.

    Attributes:
        difference: what is not exact where it is run and compared; "" for nothing.
        firmware: what the refusal of firmware says; "" where it is the same firmware, or gives the same values.
        layers: whether each node still has its layer.
    """

    difference: str
    firmware: str
    layers: bool


def run(row: Row, name: str) -> Outcome:
    """Apply a row's tool to one of the two files and use the result everywhere."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        model = row.apply(_copy(files()[name]), Path(folder))
        return Outcome(_difference(model, row, name), _firmware(model, name), _layers(model) == _layers(files()[name]))


def _copy(model: ModelProto) -> ModelProto:
    result = ModelProto()
    result.CopyFrom(model)
    return result


def _feed(model: ModelProto, row: Row, name: str) -> dict[str, Any]:
    if row.inputs:
        return run_tensors(files()[name], {"image": events()}, row.inputs)
    return {model.graph.input[0].name: events()}


def _difference(model: ModelProto, row: Row, name: str) -> str:
    """Stock onnxruntime, sessions of ours, fused and not, the commands behind `info` and `report`, and `verify`."""
    feed, target = _feed(model, row, name), model.graph.output[0].name
    try:
        for how in ("function", *(["native"] if find_library() else [])):
            found = sq.InferenceSession(model, kernels=how).run([target], feed)[0]
            if not np.array_equal(found, expected(name)):
                return f"{how}: other values"
        report = sq.verify(model, feed)
        LayeredGraph(read_model(model))
    except SparseQonnxError as error:
        return f"{type(error).__name__}: {error}"
    return "" if report.ok else str(report)


def _firmware(model: ModelProto, name: str, **config: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        try:
            project = sq.to_hls(model, Path(folder) / "firmware", config={"head": "skip", **config})
        except SparseQonnxError as error:
            untyped = re.search(_UNTYPED, str(error)) and not config
            return str(error) + (_firmware(model, name, input_precision=TYPE) if untyped else "")
        if _text(Path(folder)) == _own_text(name):
            return ""  # what a test C-simulates
        found = project.predict(events())
    wanted = run_tensors(files()[name], {"image": events()}, ["dense"])["dense"]
    return "" if np.array_equal(found.astype(wanted.dtype), wanted) else "other values"


@cache
def _own_text(name: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        sq.to_hls(files()[name], Path(folder) / "firmware", config={"head": "skip"})
        return _text(Path(folder))


def _text(folder: Path) -> str:
    """Everything that a synthesis tool reads."""
    paths = sorted(path for path in folder.rglob("firmware/**/*") if path.suffix in (".h", ".cpp"))
    return "".join(f"{path.relative_to(folder)}\n{path.read_text(encoding='utf-8')}" for path in paths)


def _layers(model: ModelProto) -> list[str]:
    return list(LayeredGraph(read_model(model)).layers)


# ---- the page -------------------------------------------------------------------------------------------------------


def cells(title: str, row: Row) -> str:
    """One line of the table; an error where the row is not what is said of it."""
    outcomes = {name: run(row, name) for name in files()}
    for name, outcome in outcomes.items():
        refused = row.refused if row.only in ("", name) else ""
        if outcome.difference:
            raise AssertionError(f"{title} on {name}: {outcome.difference}")
        wanted = f"(?:{refused}).*" + (r"\)\.$" if refused == _UNTYPED else "")
        if bool(refused) != bool(outcome.firmware) or not re.search(wanted, outcome.firmware):
            raise AssertionError(f"{title} on {name}: firmware: {outcome.firmware or 'is made'}")
    if row.refused == _UNTYPED:
        said = "exact, the input's type given"
    elif not row.refused:
        said = "exact"
    else:
        said = f"refused{' in float32' if row.only == 'narrow' else ''}: {_SAID[row.refused]}"
    layers = "kept" if all(outcome.layers for outcome in outcomes.values()) else "others"
    return f"| {title} | {row.package} {installed(row)} | exact | {said} | {layers} | {row.note} |"


_SAID = {
    _WRITTEN_OUT: "the node is part of a function that was written out",
    r"input 'reduce\.coords': holds coordinates": "coordinates as an input",
    r"\(Gemm\): has no hardware": "`Gemm`",
}


def section() -> str:
    """The text between the markers: every row run."""
    missing = sorted({row.package for row in ROWS.values() if not installed(row)})
    if missing:
        raise LookupError(f"pip install {' '.join(missing)}")
    lines = [cells(title, row) for title, row in ROWS.items()]
    exact = sum("| exact | exact" in line for line in lines)
    text = [
        "",
        f"{len(lines)} ways, each on two files and {EVENTS} events: all exact in onnxruntime; firmware is exact after "
        f"{exact} of them and refused after the others.",
        "",
        "| done to the file | by | onnxruntime, native kernels, NumPy, `verify` | firmware | layers | |",
        "|---|---|---|---|---|---|",
        *lines,
        "",
    ]
    return "\n".join(text)


def main() -> int:
    """Write the table into the page."""
    write_between(TARGET, BEGIN, END, section())
    return 0


if __name__ == "__main__":
    sys.exit(main())
