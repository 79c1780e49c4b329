"""The files of a project, and the folder they go into."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from onnx import ModelProto

from sparse_qonnx import _paths
from sparse_qonnx.aside import aside_folder, remove_leftovers
from sparse_qonnx.errors import OutputPathError
from sparse_qonnx.hls import emit, testbench
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.csim import bridge_source
from sparse_qonnx.hls.templates import render
from sparse_qonnx.hls.tools import TOOLS, script_values
from sparse_qonnx.hls.typed import TypedGraph
from sparse_qonnx.locks import locked

Files = dict[str, bytes]

MANIFEST = "manifest.json"
GENERATOR = "sparse-qonnx"


def project_files(model: ModelProto, graph: TypedGraph, config: HlsConfig) -> Files:
    """Every file of a project by its path; the same model and options give the same bytes."""
    top = graph.top
    events = testbench.random_events(graph, config.test_events)
    answers = testbench.expected_outputs(graph, model, events)
    values = script_values(config)
    tables = [t for layer in graph.layers for t in layer.tables]
    texts = {
        f"firmware/{top}.h": emit.top_header(graph),
        f"firmware/{top}.cpp": emit.top_source(graph, packs_words=config.backend == "Vivado"),
        "firmware/defines.h": emit.defines(graph),
        "firmware/parameters.h": emit.parameters(graph),
        **{f"firmware/weights/{t.identifier}.h": emit.weights(t, graph.namespace) for t in tables},
        "sim/bridge.cpp": bridge_source(graph),
        f"{top}_test.cpp": testbench.source(graph, config.test_events),
        "tb_data/tb_input_features.dat": testbench.data_file(graph.inputs, events),
        "tb_data/tb_output_predictions.dat": testbench.data_file(graph.outputs, answers),
        **{name: render(name, **values) for name in TOOLS[config.backend].scripts},
    }
    files = {name: text.encode() for name, text in texts.items()} | _kernel_files(graph)
    files[MANIFEST] = _manifest(model, config)
    return files


def _kernel_files(graph: TypedGraph) -> Files:
    """The headers that the project uses, so that it needs nothing else."""
    backend = _paths.hls_backend()
    paths = [backend / "kernels" / f"{name}.h" for name in sorted({layer.call.kernel for layer in graph.layers})]
    paths += sorted((backend / "kernels" / "common").glob("*.h"))
    files = {f"firmware/{path.relative_to(backend).as_posix()}": path.read_bytes() for path in paths}
    return files | {f"sim/{path.name}": path.read_bytes() for path in sorted((backend / "sim").glob("*.h"))}


def _manifest(model: ModelProto, config: HlsConfig) -> bytes:
    """What the project was made from; nothing that differs from one machine to another."""
    try:
        release = version("sparse-qonnx")
    except PackageNotFoundError:
        release = "unknown"
    content = {
        "generator": GENERATOR,
        "version": release,
        "model_sha256": hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest(),
        "tool": TOOLS[config.backend].name,
        "config": config.as_dict(),
    }
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def _is_project(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["generator"] == GENERATOR)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def check_target_folder(target: Path, force: bool) -> None:
    """Refuse a folder that is in use.

    Raises:
        OutputPathError: it is a file, holds something else, or a project that is not to be replaced.
    """
    where = _where(target)
    remove_leftovers(target)
    if not target.exists() and not target.is_symlink():
        return
    if not target.is_dir():
        raise OutputPathError(where, "is a file", allowed="a new folder", fix="choose another name")
    if not any(target.iterdir()):
        return
    if not _is_project(target):
        raise OutputPathError(where, "holds something else", allowed="a new or empty folder", fix="choose another name")
    if not force:
        raise _not_to_be_replaced(target)


def _not_to_be_replaced(target: Path) -> OutputPathError:
    problem, fix = "already holds a project", "pass force=True (--force) to replace it"
    return OutputPathError(_where(target), problem, fix=fix)


def write_project(target: Path, files: Files, force: bool) -> None:
    """Write the project aside, then move it into place; an old project stays until the new one is whole.

    Raises:
        OutputPathError: the folder cannot be written, a process works in the old project, or another process wrote
            one since the folder was checked.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputPathError(_where(target), f"cannot be written: {error.strerror}") from error
    manifest = target / MANIFEST
    replace = manifest.is_file()
    if replace and not force:
        raise _not_to_be_replaced(target)
    with locked(manifest, _where(target)) if replace else nullcontext(), aside_folder(target, replace=replace) as aside:
        for name, content in files.items():
            path = aside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@contextmanager
def working_in(folder: Path, manifest: bytes) -> Iterator[None]:
    """Nobody replaces a project that is worked in.

    Args:
        folder: the project.
        manifest: what it was made from.

    Raises:
        OutputPathError: it is no longer there, was replaced by another, or is being replaced.
    """
    with locked(folder / MANIFEST, _where(folder), shared=True):
        if (folder / MANIFEST).read_bytes() != manifest:
            problem = "was replaced by a project of another model, other options or another version"
            raise OutputPathError(_where(folder), problem, fix="write it again")
        yield


def _where(target: Path) -> str:
    return f"output folder {str(target)!r}"
