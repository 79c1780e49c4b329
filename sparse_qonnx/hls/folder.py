"""The files of a project, and the folder they go into."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from onnx import ModelProto

from sparse_qonnx import _paths
from sparse_qonnx.errors import OutputPathError
from sparse_qonnx.hls import emit, testbench
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.csim import bridge_source, is_library
from sparse_qonnx.hls.reserved import check_names
from sparse_qonnx.hls.templates import render
from sparse_qonnx.hls.tools import TOOLS, script_values
from sparse_qonnx.hls.typed import TypedGraph
from sparse_qonnx.system.atomic import as_output_error, atomic_folder
from sparse_qonnx.system.locks import locked
from sparse_qonnx.system.outputs import output_folder
from sparse_qonnx.system.regular import kind_of, read_regular

Files = dict[str, bytes]

MANIFEST = "manifest.json"
GENERATOR = "sparse-qonnx"
_MANIFEST_BYTES = 1 << 24
"""More than any manifest has."""


def project_files(model: ModelProto, graph: TypedGraph, config: HlsConfig) -> Files:
    """Every file of a project by its path; the same model and options give the same bytes."""
    top, kernels = graph.top, _kernel_files(graph)
    check_names(graph, kernels.items())
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
    files = {name: text.encode() for name, text in texts.items()} | kernels
    files[MANIFEST] = manifest(model, config, [*files, MANIFEST])
    return files


def _kernel_files(graph: TypedGraph) -> Files:
    """The headers that the project uses, so that it needs nothing else."""
    backend = _paths.hls_backend()
    paths = [backend / "kernels" / f"{name}.h" for name in sorted({layer.call.kernel for layer in graph.layers})]
    paths += sorted((backend / "kernels" / "common").glob("*.h"))
    files = {f"firmware/{path.relative_to(backend).as_posix()}": path.read_bytes() for path in paths}
    return files | {f"sim/{path.name}": path.read_bytes() for path in sorted((backend / "sim").glob("*.h"))}


def manifest(model: ModelProto, config: HlsConfig, names: Iterable[str]) -> bytes:
    """What the project was made from, and its files; nothing that differs from one machine to another."""
    try:
        release = version("sparse-qonnx")
    except PackageNotFoundError:
        release = "unknown"
    content = {
        "generator": GENERATOR,
        "version": release,
        "model_sha256": model_hash(model),
        "tool": TOOLS[config.backend].name,
        "config": config.as_dict(),
        "files": sorted(names),
    }
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def model_hash(model: ModelProto) -> str:
    """What tells a model from others."""
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def _written_files(folder: Path) -> frozenset[str] | None:
    """The files of a project that its manifest lists, and the manifest; None if the folder holds no project of ours."""
    try:
        content = json.loads(read_regular(folder / MANIFEST, _MANIFEST_BYTES))
        if content["generator"] != GENERATOR:
            return None
        names = content.get("files", [])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return (
        frozenset([MANIFEST, *(name for name in names if isinstance(name, str))]) if isinstance(names, list) else None
    )


def check_target_folder(target: Path, force: bool) -> None:
    """Refuse a folder that is in use.

    Raises:
        OutputPathError: it is a file, cannot be made, holds something else, or a project that is not to be replaced.
    """
    where = _where(target)
    folder = output_folder(target)
    with as_output_error(where):
        is_free = not folder.exists() or not any(folder.iterdir())
    if is_free:
        return
    if _written_files(folder) is None:
        raise OutputPathError(where, "holds something else", allowed="a new or empty folder", fix="choose another name")
    if not force:
        raise _not_to_be_replaced(target)


def _not_to_be_replaced(target: Path) -> OutputPathError:
    problem, fix = "already holds a project", "pass force=True (--force) to replace it"
    return OutputPathError(_where(target), problem, fix=fix)


def write_project(target: Path, files: Files, force: bool) -> None:
    """Write a project into a temporary folder and move that into place; an old project stays until then.

    Of an old project those files go that its manifest lists. Everything else in its folder stays where it is.

    Raises:
        OutputPathError: the folder cannot be written, a process works in the old project, another process wrote
            one since the folder was checked, or a file of somebody else is where one of the project belongs.
    """
    where, folder = _where(target), output_folder(target)
    with as_output_error(where):
        folder.parent.mkdir(parents=True, exist_ok=True)
    manifest = folder / MANIFEST
    if not manifest.is_file():
        with atomic_folder(folder) as new:
            _write(new, files)
        return
    if not force:
        raise _not_to_be_replaced(target)
    with locked(manifest, where):
        ours = _written_files(folder)
        if ours is None:
            raise OutputPathError(where, "holds something else", fix="choose another name")
        with atomic_folder(folder, discard=lambda old: _discard(old, folder, ours)) as new:
            _write(new, files)
            _keep_modes(folder, new, files)
            _keep_others(folder, new, ours, where)


def _write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _keep_modes(old: Path, new: Path, files: Files) -> None:
    for name in files:
        with suppress(FileNotFoundError, NotADirectoryError):
            status = (old / name).lstat()
            if not kind_of(status.st_mode):
                (new / name).chmod(stat.S_IMODE(status.st_mode))


def _is_ours(name: str, ours: frozenset[str]) -> bool:
    return name in ours or is_library(name)


def _others(folder: Path, ours: frozenset[str]) -> Iterator[tuple[str, Path]]:
    """What is in a folder that we did not write, by its name in the folder; folders before what is in them."""
    for root, folders, names in os.walk(folder):
        place = Path(root)
        links = [name for name in folders if (place / name).is_symlink()]
        for name in (*folders, *names):
            inside = (place / name).relative_to(folder).as_posix()
            if not _is_ours(inside, ours):
                yield inside, place / name
        folders[:] = [name for name in folders if name not in links]


def _keep_others(old: Path, new: Path, ours: frozenset[str], where: str) -> None:
    """Give what is not ours a hard link in the new folder, so that at no moment anything is missing."""
    for name, path in _others(old, ours):
        place = new / name
        is_folder = path.is_dir() and not path.is_symlink()
        if is_folder and place.is_dir():
            continue
        if os.path.lexists(place):
            problem = f"holds {name!r}, which it did not write, where the project has a file"
            raise OutputPathError(where, problem, fix="move it away")
        try:
            if is_folder:
                place.mkdir()
                shutil.copystat(path, place)
            else:
                os.link(path, place, follow_symlinks=False)
        except OSError as error:
            problem = f"holds {name!r}, which it did not write and cannot keep: {error.strerror}"
            raise OutputPathError(where, problem, fix="move it away") from error


def _discard(old: Path, new: Path, ours: frozenset[str]) -> None:
    """Remove of an old project what we wrote, and what is in the new folder as well; the rest, if any, stays."""
    for root, folders, names in os.walk(old, topdown=False):
        place = Path(root)
        for name in (*folders, *names):
            path = place / name
            inside = path.relative_to(old).as_posix()
            with suppress(OSError):
                if path.is_dir() and not path.is_symlink():
                    path.rmdir()
                elif _is_ours(inside, ours) or os.path.samestat(path.lstat(), (new / inside).lstat()):
                    path.unlink()
    with suppress(OSError):
        old.rmdir()
    if old.exists():
        warnings.warn(f"files that came into {str(new)!r} while it was replaced are in {str(old)!r}", stacklevel=2)


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
        if read_regular(folder / MANIFEST, _MANIFEST_BYTES) != manifest:
            problem = "was replaced by a project of another model, other options or another version"
            raise OutputPathError(_where(folder), problem, fix="write it again")
        yield


def _where(target: Path) -> str:
    return f"output folder {str(target)!r}"
