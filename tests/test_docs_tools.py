"""docs/tools.md says what really happens: every tool run anew on our files."""

from __future__ import annotations

import re

import pytest
import tools_support


def lines() -> list[str]:
    text = tools_support.TARGET.read_text(encoding="utf-8")
    return text.split(f"{tools_support.BEGIN}\n", 1)[1].split(tools_support.END, 1)[0].splitlines()


def without_versions(line: str) -> str:
    """Another release of a tool may do the same."""
    return re.sub(r"(?<=\| )([a-z-]+) [0-9][^ |]*(?= \|)", r"\1", line)


@pytest.mark.slow
@pytest.mark.parametrize("title", tools_support.ROWS)
def test_a_row_says_what_happens(title: str) -> None:
    row = tools_support.ROWS[title]
    if not tools_support.installed(row):
        pytest.skip(f"{row.package} is not installed: pip install {row.package}")
    found = without_versions(tools_support.cells(title, row))
    assert found in map(without_versions, lines()), "run: make tools"


def test_every_row_is_on_the_page() -> None:
    table = [line for line in lines() if line.startswith("| ")][1:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in table] == [*tools_support.ROWS]
    exact = sum("| exact | exact" in line for line in table)
    assert f"{len(table)} ways" in lines()[1] and f"after {exact} of them" in lines()[1]


def test_versions_do_not_matter() -> None:
    assert (
        without_versions("| x | onnx 1.2.3 | exact |")
        == without_versions("| x | onnx 9.9 | exact |")
        == "| x | onnx | exact |"
    )
