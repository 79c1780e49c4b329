"""The README tells what is: its table is the registries', its files exist, its commands are the commands."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def supported(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("supported", repository / "docs" / "supported.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_table_is_up_to_date(repository: Path, supported: ModuleType) -> None:
    text = (repository / "README.md").read_text(encoding="utf-8")
    table = text.partition(supported.BEGIN)[2].partition(supported.END)[0]
    assert table.strip() == supported.section().strip(), "run: make supported"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_linked_files_exist(repository: Path, page: str) -> None:
    text = (repository / page).read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in t]
    assert [t for t in targets if not (repository / t).exists()] == []


def test_make_targets_exist(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    pages = "".join((repository / page).read_text(encoding="utf-8") for page in ("README.md", "CONTRIBUTING.md"))
    named = set(re.findall(r"`?\bmake ([a-z]+)\b", " ".join(re.findall(r"`[^`]*`|^make .*$", pages, re.MULTILINE))))
    assert named
    assert [t for t in named if not re.search(rf"^{t}:", makefile, re.MULTILINE)] == []
