"""C-simulation: the firmware compiled by g++ into a shared library, a batch of events per call."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.errors import OutputPathError, ToolError
from sparse_qonnx.hls.emit import INDENT, called, held, using
from sparse_qonnx.hls.headers import compiler_command, find_ap_headers, words_of
from sparse_qonnx.hls.templates import render
from sparse_qonnx.hls.typed import TypedGraph
from sparse_qonnx.system.atomic import scratch_folder
from sparse_qonnx.system.locks import locked
from sparse_qonnx.system.processes import run_child

Array = NDArray[np.float64]

# ap_fixed's own headers read uninitialized members, which the compiler sees once they are inlined.
FLAGS = ("-std=c++11", "-fPIC", "-shared", "-Wno-unknown-pragmas", "-Wno-uninitialized", "-DSPARSE_QONNX_TRACE")
LEVEL = "-O3"
"""Unless the user's own flags say another."""
FLAGS_VARIABLE = "CXXFLAGS"
"""Environment variable with more flags for the compiler, such as -O1 for a project that is run once."""


def bridge_source(graph: TypedGraph) -> str:
    """`sim/bridge.cpp`."""
    pad = " " * 8
    body = [INDENT + line for line in using(graph)]
    arrays = graph.arrays
    place = {t.identifier: n for n, t in enumerate(arrays)}
    for n, t in enumerate(graph.inputs):
        body.append(f"{pad}{t.type_name} {held(t)}[{t.size}];")
        grid = ", ".join(repr(float(v)) for v in (2.0**t.type.frac, t.type.lowest, t.type.highest))
        source = f"inputs[{n}] + event * {t.size}"
        body.append(f"{pad}n_changed += sparse_qonnx::load({source}, {held(t)}, {t.size}, {grid});")
        if t.values_per_word:  # the firmware shows its arrays, not its ports
            body.append(f"{pad}sparse_qonnx::trace({place[t.identifier]}, {held(t)}, {t.size});")
    body += called(graph, pad)
    for t in (t for t in graph.outputs if t.values_per_word):
        body.append(f"{pad}sparse_qonnx::trace({place[t.identifier]}, {held(t)}, {t.size});")
    sizes = ", ".join(str(t.size) for t in arrays)
    return render("bridge.cpp.in", TOP=graph.top, N_ARRAYS=str(len(arrays)), ARRAY_SIZES=sizes, BODY="\n".join(body))


def compile_library(folder: Path, top: str) -> Path:
    """Compile the firmware and the bridge; a library of the same sources, compiler and flags is used again.

    Raises:
        ToolError: no compiler or no headers, or the compiler fails.
        ConfigurationError: flags in the environment that cannot be read.
        OutputPathError: the project cannot be written, or the disk is full.
    """
    compiler, headers = compiler_command(), find_ap_headers()
    sources = [folder / "firmware" / f"{top}.cpp", folder / "sim" / "bridge.cpp"]
    given = words_of(FLAGS_VARIABLE)
    level = [] if any(word.startswith("-O") for word in (*compiler, *given)) else [LEVEL]
    folders = ["-isystem", str(headers), "-iquote", str(folder / "sim")]
    command = [*compiler, *FLAGS, *level, *given, *folders, *map(str, sources)]
    target = folder / "build" / f"lib{top}-{_digest(folder, command)}.so"
    if target.is_file():
        return target
    with _building(folder, sources[-1]) as scratch:
        if target.is_file():
            return target
        library = scratch / target.name
        with scratch_folder() as own:
            done = run_child([*command, "-o", str(library)], env={"TMPDIR": str(own)})
        if done.returncode != 0:
            said = [line.strip() for line in done.stderr.splitlines()]
            first = next((line for line in said if "error:" in line and "collect2" not in line), " | ".join(said[:3]))
            raise ToolError(
                shlex.join(compiler), f"cannot compile the firmware: {first}", fix=f"read {str(folder / 'firmware')!r}"
            )
        library.replace(target)
    return target


def is_library(name: str) -> bool:
    """Whether a file of a project, by its name in the project, is one that `compile_library` makes."""
    return re.fullmatch(r"build/lib\w+-[0-9a-f]{16}\.so", name) is not None


@contextmanager
def _building(folder: Path, source: Path) -> Iterator[Path]:
    """A folder to compile in, in the project; whoever wants the same waits and finds it done."""
    where = f"project {str(folder)!r}"
    try:
        (folder / "build").mkdir(exist_ok=True)
    except OSError as error:
        raise OutputPathError(
            where, f"cannot be written: {error.strerror}", fix="write it where you may write"
        ) from error
    with locked(source, where, wait=True), scratch_folder(folder / "build") as scratch:
        yield scratch


def _digest(folder: Path, command: list[str]) -> str:
    digest = hashlib.sha256(os.fsencode(" ".join(command)))
    for path in sorted((*(folder / "firmware").rglob("*"), *(folder / "sim").rglob("*"))):
        if path.is_file():
            digest.update(os.fsencode(path.relative_to(folder)) + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


class Library:
    """A compiled project.

    Args:
        path: the shared library.
        graph: what was compiled into it.
    """

    def __init__(self, path: Path, graph: TypedGraph) -> None:
        self._run = ctypes.CDLL(str(path)).sparse_qonnx_run
        self._run.restype = ctypes.c_longlong
        self._graph = graph

    def run(self, inputs: Mapping[str, NDArray[Any]], wanted: Iterable[str]) -> tuple[dict[str, Array], int]:
        """Values of some arrays.

        Args:
            inputs: numbers by ONNX name, `[B, ...]`.
            wanted: identifiers of arrays.

        Returns:
            By identifier, float64 `[B, size]`, numerators where a divisor is pending; and how many input values were
            rounded to the input grid.
        """
        arrays = self._graph.arrays
        names = set(wanted)
        given = [np.ascontiguousarray(inputs[t.name], dtype=np.float64) for t in self._graph.inputs]
        events = len(given[0])
        found = {t.identifier: np.empty((events, t.size)) for t in arrays if t.identifier in names}
        targets = [found.get(t.identifier) for t in arrays]
        changed = self._run(ctypes.c_longlong(events), _pointers(given), _pointers(targets))
        return found, int(changed)


def _pointers(arrays: Iterable[Array | None]) -> ctypes.Array[ctypes.c_void_p]:
    addresses = [None if a is None else a.ctypes.data for a in arrays]
    return (ctypes.c_void_p * len(addresses))(*addresses)
