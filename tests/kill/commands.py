"""What is killed: commands that write, each in a box of its own, with what may be in the box afterwards."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Imported once, before the processes that are killed are forked.
import sparse_qonnx.hls
import sparse_qonnx.verify  # noqa: F401
from sparse_qonnx import cli
from sparse_qonnx.cli import commands  # noqa: F401
from sparse_qonnx.files import write_model
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.passes import finalize
from sparse_qonnx.runtime import InferenceSession

# A compiler that does what g++ does to files and processes, in a tenth of a second: a pass of its own in a process of
# its own, an intermediate file in TMPDIR, the output written in pieces.
COMPILER = """#!/bin/sh
out=; for word; do [ "$take" = yes ] && out=$word; take=no; [ "$word" = -o ] && take=yes; done
( echo pass > "$TMPDIR/cc1.s"; sleep 0.03 ) || exit 1
: > "$out" || exit 1
for part in {parts}; do cat "$part" >> "$out" || {{ echo "error: no space" >&2; exit 1; }}; sleep 0.01; done
chmod +x "$out"; rm -f "$TMPDIR/cc1.s"
"""


@dataclass(frozen=True)
class Command:
    """A command line in a box.

    Attributes:
        name: for the record.
        run: what is killed; an exit code.
        before: what makes the old state.
        steps: command lines after each of which the state is whole; then `run`.
        again: what is run after it was killed, `run` when None.
        done: its exit codes when nothing happens; 1 where the library of the boxes, which does nothing, is compared.
        keeps: files in which it keeps what it has done for the next run, which goes on there and removes them.
    """

    name: str
    run: Callable[[], int]
    before: Callable[[], int] = lambda: 0
    steps: tuple[Callable[[], int], ...] = ()
    again: Callable[[], int] | None = None
    done: frozenset[int] = frozenset({0})
    keeps: frozenset[str] = frozenset()


def material(folder: Path) -> None:
    """What the commands read: a model, events, a Keras model if there is Keras, a compiler."""
    g = GraphBuilder("m")
    x, coords = g.sparse("InputReduce", [g.input("x", [4, 4, 1])], ["r", "r.coords"], n_max_pixels=3, threshold=0.0)
    kernel = g.quantized_constant("k", np.ones((1, 1, 3, 3), np.float32))
    (x,) = g.sparse("SparseConv", [x, coords, kernel], ["conv"], kernel_shape=[3, 3])
    (x,) = g.sparse("SparseToDense", [x, coords], ["dense"], spatial_shape=[4, 4])
    g.output(x)
    write_model(finalize(g.build(), "ap_ufixed<4,2>"), folder / "m.onnx")
    np.save(folder / "x.npy", (np.random.default_rng(0).integers(0, 16, (600, 4, 4, 1)) / 4).astype(np.float32))
    InferenceSession(folder / "m.onnx")  # what is loaded once is loaded here


WRITE_KERAS = """
import sys
from hgq.layers import QDense
from sparsepixels.layers import QConv2DSparse
import keras
from keras_models import sparse_model
def body(x, mask):
    x = QConv2DSparse(2, 3, name="conv", padding="same")([x, mask])
    return QDense(2, name="dense")(keras.layers.Flatten()(x))
sparse_model(body, (4, 4, 1)).save(sys.argv[1])
"""


def keras_model(folder: Path) -> None:
    """A Keras model, written by a process of its own: one that TensorFlow has worked in cannot be forked."""
    tests = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": tests, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", WRITE_KERAS, folder / "m.keras"], env=environment, check=True)
    from sparse_qonnx.cli.terminal import import_keras
    from sparse_qonnx.export import loading, registry, tracer  # noqa: F401

    import_keras()


def compiler(folder: Path) -> Path:
    """The compiler of the boxes; what it makes is a library that can be loaded and called, and does nothing."""
    source, library = folder / "library.c", folder / "library.so"
    source.write_text("long long sparse_qonnx_run(long long n, void** x, void** y) { return 0; }\n", encoding="utf-8")
    subprocess.run(["g++", "-xc", "-shared", "-fPIC", "-o", library, source], check=True)
    data, parts = library.read_bytes(), []
    size = len(data) // 6 + 1
    for n, start in enumerate(range(0, len(data), size)):
        parts.append(folder / f"part{n}")
        parts[-1].write_bytes(data[start : start + size])
    program = folder / "c++"
    program.write_text(COMPILER.format(parts=" ".join(map(str, parts))), encoding="utf-8")
    program.chmod(0o755)
    return program


def commands_in(folder: Path, keras: bool) -> list[Command]:
    """The commands; every path is relative to the box, but for what is read."""
    model, events = str(folder / "m.onnx"), str(folder / "x.npy")

    def sq(*words: str) -> Callable[[], int]:
        return lambda: cli.main(words)

    def hls(*words: str) -> Callable[[], int]:
        return lambda: cli.main_hls([model, *words])

    def old(name: str) -> Callable[[], int]:
        return lambda: Path(name).write_bytes(b"old " * 500) and 0

    run = sq("run", model, "--input", events, "-o", "y.npy", "--batch", "50")
    progress = frozenset({"out/y.npy.state"})
    first, force = hls("-o", "fw"), ("-o", "fw", "--force")
    other, compared = hls(*force, "--backend", "Vivado"), frozenset({1})
    found = [
        Command("run", run, keeps=progress),
        Command("run, replacing", run, old("y.npy"), keeps=progress),
        Command("write-config", hls("--write-config", "hls.yml"), old("hls.yml")),
        Command("qonnx-to-hls", first, again=hls(*force)),
        Command("qonnx-to-hls --force", hls(*force), other),
        Command("qonnx-to-hls --csim", hls(*force, "--csim", events), other, (hls(*force),), done=compared),
        Command("verify --csim", sq("verify", model, "--input", events, "--csim"), done=compared),
    ]
    if keras:
        saved = str(folder / "m.keras")
        found.append(Command("export", sq("export", saved, "-o", "m.onnx"), old("m.onnx")))
    return found


@contextmanager
def box(parent: Path) -> Iterator[Path]:
    """A folder to work in, with the folder that TMPDIR names beside it."""
    here = Path.cwd()
    folder = parent / "box"
    (folder / "out").mkdir(parents=True)
    (folder / "tmp").mkdir()
    os.chdir(folder / "out")
    try:
        yield folder
    finally:
        os.chdir(here)
        shutil.rmtree(folder)


State = frozenset[tuple[str, bytes]]


def state(folder: Path) -> State:
    """Every file in a box with its content, every folder that is hidden; empty folders do not count."""
    found = set()
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            found.add((name, path.read_bytes()))
        elif path.name.startswith("."):
            found.add((name, b""))
    return frozenset(found)


def is_temporary(name: str) -> bool:
    """Whether a file is temporary, or in a folder that is: what a killed process may leave."""
    return any(re.fullmatch(r"\..*\.sparse-qonnx|.*\.[0-9a-f]{16}\.part", part) for part in name.split("/"))


def without_leftovers(found: State) -> State:
    return frozenset((name, data) for name, data in found if not is_temporary(name))
