"""What pages show is what is there: their commands parse, their Python compiles and names what exists.

The notebooks among them run when `make docs` builds the site.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import sparse_qonnx
from sparse_qonnx import cli
from sparse_qonnx.ops import operators

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *(p for p in (ROOT / "docs").rglob("*.md") if "_generated" not in p.parts)],
    key=lambda page: page.relative_to(ROOT).as_posix(),
)
_BLOCK = re.compile(r"^```(?P<kind>[^\n`]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_SHELL = {"", "console", "sh", "bash", "shell"}
PARSERS = {"sparse-qonnx": cli.build_parser, "qonnx-to-hls": cli.to_hls.build_parser}


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Kind and text of every fenced block."""
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield found["kind"].strip(), found["text"]


def commands(page: Path) -> Iterator[list[str]]:
    """Words of every line of a shell block that starts with a command of ours, of make, or of pip."""
    for kind, text in blocks(page):
        for line in text.replace("\\\n", " ").splitlines() if kind in _SHELL else ():
            try:
                words = shlex.split(line.removeprefix("$ "), comments=True)
            except ValueError:  # prose with an apostrophe
                continue
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words:
                yield words


def python_blocks(page: Path) -> Iterator[str]:
    for kind, text in blocks(page):
        if kind == "python":
            yield text
        elif kind.startswith("{code-cell}"):
            yield re.sub(r"^:tags:.*\n", "", text)


def parses(command: str, arguments: list[str]) -> bool:
    try:
        PARSERS[command]().parse_args(arguments)
    except SystemExit as stop:  # --help and --version end with 0
        return stop.code == 0
    return True


ids = [page.relative_to(ROOT).as_posix() for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_parse(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for words in commands(page):
        command, arguments = words[0], words[1:]
        if command in PARSERS:
            ends = next((n for n, word in enumerate(arguments) if word in {"|", "&&", ";", ">", "#"}), len(arguments))
            assert parses(command, [w for w in arguments[:ends] if w != "..."]), f"{words}: {capsys.readouterr().err}"
        elif command == "make":
            asked = {word for word in arguments if re.fullmatch(r"[a-z]+", word)}
            assert asked <= targets, shlex.join(words)
        elif command == "pip" and arguments[:1] == ["install"]:
            named = re.findall(r"\[([a-z0-9,]+)\]", " ".join(arguments))
            assert set(",".join(named).split(",")) - {""} <= set(extras), shlex.join(words)
        elif command == "python" and arguments and arguments[0].endswith(".py"):
            assert (ROOT / arguments[0]).is_file(), shlex.join(words)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_python_names_exist(page: Path) -> None:
    for text in python_blocks(page):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sq":
                assert hasattr(sparse_qonnx, node.attr), f"sq.{node.attr}"
            elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sparse_qonnx":
                module = importlib.import_module(node.module or "")
                missing = [a.name for a in node.names if not hasattr(module, a.name)]
                assert [n for n in missing if importlib.util.find_spec(f"{node.module}.{n}") is None] == []


def test_generated_pages(tmp_path: Path) -> None:
    pytest.importorskip("jupytext")
    generate = importlib.import_module("generate")
    for page in ("tutorial.md",):
        (tmp_path / page).write_text((ROOT / "docs" / page).read_text(encoding="utf-8"), encoding="utf-8")
    generate.write_pages(tmp_path)
    written = {
        path.relative_to(tmp_path / "_generated").as_posix(): path for path in (tmp_path / "_generated").rglob("*")
    }
    assert {f"operators/{name}.md" for name in operators()} <= set(written)
    commands_page = written["commands.md"].read_text(encoding="utf-8")
    assert all(f"## {command}" in commands_page for command in PARSERS)
    api = written["api.md"].read_text(encoding="utf-8")
    assert [name for name in sparse_qonnx.__all__ if f"sparse_qonnx.{name}" not in api] == [
        "SparseQonnxError",
        "__version__",
    ]


def test_the_checks_see_what_they_check() -> None:
    seen = [words[0] for page in PAGES for words in commands(page)]
    assert {"sparse-qonnx", "qonnx-to-hls", "make", "pip"} <= set(seen)
    assert sum("sq." in text for page in PAGES for text in python_blocks(page)) > 5
