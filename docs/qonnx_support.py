"""docs/qonnx.md: every transformation and command of qonnx, run on two files of ours, and what became of their output.

`python docs/qonnx_support.py` writes the table into the page; a test runs every row and compares.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import qonnx.transformation
from onnx import ModelProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.base import Transformation
from qonnx.transformation.composed import ComposedTransformation
from qonnx.transformation.create_generic_partitions import PartitionFromDict
from qonnx.transformation.extend_partition import ExtendPartition
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames, SortGraph
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.merge_onnx_models import MergeONNXModels
from qonnx.transformation.pruning import PruneChannels
from qonnx.util.cleanup import cleanup_model
from qonnx_files import EVENTS, events, expected, files, write_between

import sparse_qonnx as sq
from sparse_qonnx._paths import find_library
from sparse_qonnx._workarounds import qonnx_ir_version
from sparse_qonnx.errors import SparseQonnxError
from sparse_qonnx.files import write_model
from sparse_qonnx.runtime import run_qonnx, run_tensors, with_batch

TARGET = Path(__file__).resolve().parent / "qonnx.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

# ---- the table ------------------------------------------------------------------------------------------------------

Make = Callable[[ModelWrapper], Transformation]


@dataclass(frozen=True)
class Row:
    """How a transformation is made, and why the output is not the same; "" where it must be, bit for bit.

    Attributes:
        make: gives the transformation for a model; None where there is nothing to run.
        reason: why the output differs, or why nothing is run.
        note: what a user should know although the output is the same.
        fixed_batch: whether the batch size is fixed before.
        only: the one file for which the reason holds; both where it is empty.
    """

    make: Make | None
    reason: str = ""
    note: str = ""
    fixed_batch: bool = False
    only: str = ""


def _plain(name: str) -> Make:
    return lambda _model: _transformations()[name]()


def _with(name: str, *arguments: Any, **keywords: Any) -> Make:
    return lambda _model: _transformations()[name](*arguments, **keywords)


def _steps(apply: Callable[[ModelWrapper], ModelWrapper]) -> Make:
    """Several steps as one transformation."""

    class Steps(Transformation):  # type: ignore[misc]
        def apply(self, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
            return apply(model), False

    return lambda _model: Steps()


def _partition_and_back(model: ModelWrapper) -> ModelWrapper:
    with tempfile.TemporaryDirectory() as folder:
        model = model.transform(PartitionFromDict({0: [2, 3]}, folder))
        (node,) = model.get_nodes_by_op_type("GenericPartition")
        return model.transform(ExtendPartition([list(model.graph.node).index(node)]))


def _bare(model: ModelWrapper) -> ModelWrapper:
    """Weights without quantizers, which qonnx's pruning asks for, and a number for a batch size."""
    return cleanup_model(ModelWrapper(with_batch(model.model, EVENTS)), preserve_qnt_ops=False)


def _merge(model: ModelWrapper) -> ModelWrapper:
    """Ours behind a model that passes the image on."""
    net = sq.Network("before")
    net.output(net.op("Identity", [net.input("x", (6, 8, 1), "ap_ufixed<6,1>")], name="y"))
    return model.transform(MergeONNXModels(ModelWrapper(with_batch(net.build(), EVENTS))))


_BASE = "base class"
_PRUNED = (
    "with an empty specification, after `ChangeBatchSize` and `cleanup_model(model, preserve_qnt_ops=False)`, which it "
    "asks for"
)
_LAST = "meant to change the output"
_FIXED = "writes shapes as numbers: fix the batch size first (`ChangeBatchSize`)"


ROWS: dict[str, Row] = {
    "Transformation": Row(None, _BASE),
    "NodeLocalTransformation": Row(None, _BASE),
    "ComposedTransformation": Row(_with("ComposedTransformation", [GiveUniqueNodeNames(), SortGraph()])),
    "ChangeBatchSize": Row(_with("ChangeBatchSize", EVENTS), note="run `InferShapes` afterwards, as always in qonnx"),
    "ExposeIntermediateTensorsLambda": Row(
        _with("ExposeIntermediateTensorsLambda", lambda name, _model: name in ("conv", "pool")),
        note="name tensors that nodes make; qonnx fails on constants, in any file",
    ),
    "ExposeIntermediateTensorsPatternList": Row(_with("ExposeIntermediateTensorsPatternList", ["pool"])),
    "ExtendPartition": Row(_steps(_partition_and_back), note="after `PartitionFromDict`"),
    "ExtractQuantScaleZeroPt": Row(_plain("ExtractQuantScaleZeroPt"), note=_FIXED, fixed_batch=True),
    "FixedPointQuantizeParams": Row(_with("FixedPointQuantizeParams", "FIXED<16,8>")),
    "FixedPointQuantizeParamsFromDict": Row(_with("FixedPointQuantizeParamsFromDict", {"conv.kernel": "FIXED<24,4>"})),
    "FoldConstantsFiltered": Row(_with("FoldConstantsFiltered", lambda _model, node: node.op_type != "Quant")),
    "InsertIdentity": Row(_with("InsertIdentity", "conv", "producer"), note=_FIXED, fixed_batch=True),
    "InsertIdentityOnAllTopLevelIO": Row(_plain("InsertIdentityOnAllTopLevelIO"), note=_FIXED, fixed_batch=True),
    "InsertTopK": Row(_with("InsertTopK", k=2), f"{_LAST}: the indices of the largest logits", fixed_batch=True),
    "MakeInputChannelsLast": Row(
        _plain("MakeInputChannelsLast"),
        "takes the input for [B, C, H, W]; ours is channels last already, `ConvertToChannelsLastAndClean` leaves it",
    ),
    "MergeONNXModels": Row(
        _steps(_merge),
        "builds a new model without function bodies, domains and metadata: put what comes before into the network",
        fixed_batch=True,
    ),
    "MoveOpPastFork": Row(_with("MoveOpPastFork", ["Add", "Mul", "Relu"])),
    "ApplyMasks": Row(_with("ApplyMasks", {}), note="with an empty specification; masks change the network"),
    "PruneChannels": Row(
        _steps(lambda model: _bare(model).transform(PruneChannels({}))),
        note=_PRUNED,
        fixed_batch=True,
    ),
    "QuantizeGraph": Row(_with("QuantizeGraph", {}), note="with an empty map; a new quantizer changes the network"),
    "QuantToQCDQ": Row(
        _plain("QuantToQCDQ"),
        note="`QuantizeLinear`, `Clip` and `DequantizeLinear` for each `Quant` of at most 8 bits; make firmware from "
        "the file before",
    ),
    "RebalanceIm2Col": Row(_with("RebalanceIm2Col", 2)),
    "GiveReadableTensorNames": Row(
        lambda _model: ComposedTransformation([GiveUniqueNodeNames(), GiveReadableTensorNames()]),
        note="after `GiveUniqueNodeNames`; the input's fixed-point type follows its new name",
    ),
    "DoubleToSingleFloat": Row(
        _plain("DoubleToSingleFloat"),
        "turns the formats of float64 quantizers into float32; the function bodies give the same, the native kernels "
        "refuse the mixture",
        only="wide",
    ),
}
"""Rows that need arguments, a note or a reason. Every other transformation is run without arguments."""


@cache
def _transformations() -> dict[str, type[Transformation]]:
    found: dict[str, type[Transformation]] = {}
    for info in pkgutil.walk_packages(qonnx.transformation.__path__, "qonnx.transformation."):
        module = importlib.import_module(info.name)
        for name, member in list(vars(module).items()):
            if inspect.isclass(member) and issubclass(member, Transformation) and member.__module__ == info.name:
                found[name] = member
    return found


def rows() -> dict[str, Row]:
    """A row for every transformation of the installed qonnx, found by walking its modules."""
    names = sorted(_transformations())
    unknown = sorted(set(ROWS) - set(names))
    if unknown:
        raise LookupError(f"the installed qonnx has no {', '.join(unknown)}")
    return {name: ROWS.get(name, Row(_plain(name))) for name in names}


# ---- running a row --------------------------------------------------------------------------------------------------


@contextmanager
def quiet(ir_version: int) -> Iterator[None]:
    """As qonnx runs where onnx is not newer than onnxruntime, without its warnings."""
    with warnings.catch_warnings(), qonnx_ir_version(ir_version):
        warnings.simplefilter("ignore")
        yield


def difference(model: ModelProto, name: str) -> str:
    """What is not the same when the transformed file is run everywhere; "" for nothing."""
    want, x = expected(name), events()
    source, target = model.graph.input[0].name, model.graph.output[0].name
    for how in ("function", *(["native"] if find_library() else []), "qonnx"):
        try:
            if how == "qonnx":
                shaped = ModelWrapper(with_batch(model, EVENTS)).transform(InferShapes()).model
                got = run_qonnx(shaped, {source: x})[target]
            else:
                got = run_tensors(model, {source: x}, [target], kernels=how)[target]
        except (SparseQonnxError, ValueError, KeyError) as error:
            return f"{how}: {type(error).__name__}"
        if got.dtype != want.dtype or got.shape != want.shape or not np.array_equal(got, want):
            return f"{how}: other values"
    return ""


@dataclass(frozen=True)
class Outcome:
    """What happened to one file: whether the graph changed, and what is not the same ("" for nothing)."""

    acted: bool
    difference: str


def run(row: Row, name: str) -> Outcome:
    """Apply a row's transformation to one of the two files and run the result."""
    assert row.make is not None
    source = with_batch(files()[name], EVENTS) if row.fixed_batch else files()[name]
    with quiet(source.ir_version):
        before = ModelWrapper(source, make_deepcopy=True)
        after = before.transform(row.make(before))
        plain = before.transform(ComposedTransformation([])).graph
        acted = list(after.graph.node) != list(plain.node) or list(after.graph.initializer) != list(plain.initializer)
        return Outcome(acted, difference(after.model, name) if acted or row.reason else "")


# ---- commands -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """How a command is called, where it writes a file ("" for none), a note, and what is done to our file before."""

    arguments: tuple[str, ...] = ()
    writes: str = ""
    note: str = ""
    before: Callable[[ModelWrapper], ModelWrapper] | None = None


COMMANDS: dict[str, Command] = {
    "qonnx-cleanup": Command(("{model}", "--out-file={out}"), "{out}"),
    "qonnx-convert": Command(("{model}", "--output-style=qcdq", "--output-file={out}"), "{out}", "as `QuantToQCDQ`"),
    "qonnx-download-model": Command(note="downloads qonnx's own test models"),
    "qonnx-exec": Command(
        ("{model}", "{x}", f"--override-batchsize={EVENTS}"), note="`--override-batchsize`, as the batch is symbolic"
    ),
    "qonnx-inference-cost": Command(
        ("{model}",), note="counts dense layers; names our operators as unsupported and leaves them out"
    ),
    "qonnx-prune-channels": Command(
        ("{model}", "{spec}", "--output-filename={out}"),
        "{out}",
        _PRUNED,
        _bare,
    ),
    "qonnx-range-analysis": Command(
        ("{model}", "--report-mode=range"), note="skips our operators; the exact types are in the annotations"
    ),
    "qonnx-tensor-stats": Command(
        ("{model}", "{dumps}", "{stats}", "--axes=1", "--plot=0"), note="reads dumps of tensors, not the operators"
    ),
    "qonnx-to-channels-last": Command(("{model}", "--out-file={out}"), "{out}"),
}


def command_names() -> list[str]:
    """Every command that the installed qonnx brings."""
    return sorted(e.name for e in distribution("qonnx").entry_points if e.group == "console_scripts")


def run_command(name: str, file: str, folder: Path) -> str:
    """Call a command in this process; what is not the same afterwards, "" for nothing."""
    command, model = COMMANDS[name], files()[file]
    places = {k: str(folder / v) for k, v in (("model", "m.onnx"), ("out", "out.onnx"), ("x", "x.npy"))}
    places |= {k: str(folder / k) for k in ("spec", "dumps", "stats")}
    with quiet(model.ir_version):
        given = model if command.before is None else command.before(ModelWrapper(model, make_deepcopy=True)).model
    write_model(given, places["model"])
    np.save(places["x"], events())
    Path(places["spec"]).write_text("{}", encoding="utf-8")
    Path(places["dumps"]).mkdir(exist_ok=True)
    np.save(Path(places["dumps"]) / f"{model.graph.output[0].name}_batch0.npy", expected(file))
    arguments = [argument.format(**places) for argument in command.arguments]
    (point,) = (e for e in distribution("qonnx").entry_points if e.name == name)
    with (
        quiet(model.ir_version),
        chdir(folder),
        patch.object(sys, "argv", [name, *arguments]),
        Path(os.devnull).open("w") as nowhere,
        patch.object(sys, "stdout", nowhere),
        patch.object(sys, "stderr", nowhere),
    ):
        try:
            point.load()()
        except SystemExit as done:
            if done.code:
                return f"exit code {done.code}"
    if command.writes:
        from sparse_qonnx.files import read_model

        return difference(read_model(command.writes.format(**places)), file)
    if name == "qonnx-exec":
        output = model.graph.output[0].name
        got = np.load(folder / f"out_{output}_batch0.npy")
        return "" if np.array_equal(got, expected(file)) else "other values"
    return ""


# ---- the page -------------------------------------------------------------------------------------------------------


def _cells(name: str, row: Row) -> str:
    if row.make is None:
        return f"| `{name}` | - | {row.reason} |"
    outcomes = {file: run(row, file) for file in files()}
    differing = [file for file, outcome in outcomes.items() if outcome.difference]
    if row.reason:
        if differing != ([row.only] if row.only else list(outcomes)):
            raise AssertionError(f"{name}: a reason is given, but the output differs for {differing or 'no file'}")
        return f"| `{name}` | {'other' if not row.only else 'unchanged in float32, other in float64'} | {row.reason} |"
    if differing:
        said = "; ".join(f"{file}: {outcomes[file].difference}" for file in differing)
        raise AssertionError(f"{name}: the output differs and no reason is given: {said}")
    acted = any(outcome.acted for outcome in outcomes.values())
    return f"| `{name}` | {'unchanged' if acted else 'unchanged, nothing to do'} | {row.note} |"


def section() -> str:
    """The text between the markers: every row run, every command called."""
    lines = [_cells(name, row) for name, row in rows().items()]
    explained = sum(" | other | " in line or "other in float64" in line for line in lines)
    idle = sum(" | - | " in line for line in lines)
    from importlib.metadata import version

    text = [
        "",
        f"qonnx {version('qonnx')}: {len(lines)} transformations, {len(lines) - idle} run on both files, "
        f"{len(lines) - idle - explained} leave the output unchanged bit for bit, {explained} do not, for the reason "
        f"beside them; {idle} are base classes.",
        "",
        "| transformation | output | |",
        "|---|---|---|",
        *lines,
        "",
        "| command | on our file | |",
        "|---|---|---|",
    ]
    for name in command_names():
        command = COMMANDS[name]
        said = "-"
        if command.arguments:
            for file in files():
                with tempfile.TemporaryDirectory() as folder:
                    problem = run_command(name, file, Path(folder))
                if problem:
                    raise AssertionError(f"{name} on {file}: {problem}")
            said = "output unchanged" if command.writes or name == "qonnx-exec" else "works"
        text.append(f"| `{name}` | {said} | {command.note} |")
    return "\n".join([*text, ""])


def main() -> int:
    """Write the table into the page."""
    write_between(TARGET, BEGIN, END, section())
    return 0


if __name__ == "__main__":
    sys.exit(main())
