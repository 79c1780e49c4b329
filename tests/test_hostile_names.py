"""Names from a file in C++ and on terminals."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fuzz_files.bases import bases
from sparse_qonnx.errors import ModelFileError
from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.headers import find_ap_headers
from sparse_qonnx.hls.identifiers import Namer
from sparse_qonnx.hls.templates import words
from sparse_qonnx.text import printable


@pytest.mark.csim
def test_tensors_called_like_variables_of_the_templates(tmp_path: Path) -> None:
    """The test bench and the simulation have variables of their own beside the firmware's arrays."""
    model = bases()["dense"]
    new = {"a": "inputs", "b": "event", "chance": "targets", "most": "n_changed"}
    for thing in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        thing.name = new.get(thing.name, thing.name)
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new.get(name, name) for name in names]
    for entry in model.metadata_props:
        prefix, _, name = entry.key.rpartition(".")
        entry.key = f"{prefix}.{new.get(name, name)}"
    folder = tmp_path / "firmware"
    to_hls(model, folder)
    sources = [folder / "sim" / "bridge.cpp", folder / "sparse_cnn_test.cpp"]
    command = ["g++", "-std=c++11", "-fsyntax-only", "-Wno-unknown-pragmas", "-isystem", str(find_ap_headers())]
    done = subprocess.run([*command, "-I", str(folder / "sim"), *map(str, sources)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_words_of_the_templates_are_taken() -> None:
    namer = Namer((*words(),))
    assert {"inputs", "event", "targets", "folder"} <= words()
    assert namer("inputs") == "inputs_2"


def test_thousands_of_equal_names_take_no_longer_each() -> None:
    namer = Namer()
    assert len({namer("a" * 100 + str(n)) for n in range(20_000)}) == 20_000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb", "a\\nb"),
        ("\u202eabc", "\\u202eabc"),
        ("\u00e9 \U0001f600", "\u00e9 \U0001f600"),
    ],
)
def test_what_acts_on_a_terminal_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert shown in str(ModelFileError(text, "is wrong"))
    assert len(printable("x" * 10_000_000)) < 3000
