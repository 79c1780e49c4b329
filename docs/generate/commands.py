"""The page of the two commands, from their argparse parsers: what `--help` says, with a heading for each command."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from sparse_qonnx import cli

HEADER = """# Commands

Exit code 0 only on success; 1 where a comparison found a difference; 2 for an error, told in one message on stderr;
130 when interrupted.
"""


def pages(_docs: Path) -> dict[str, str]:
    """The page, by path below the generated folder."""
    os.environ["COLUMNS"] = "90"  # what argparse wraps at
    parts = [HEADER, *_command(cli.build_parser()), *_command(cli.to_hls.build_parser())]
    return {"commands.md": "\n".join(parts)}


def _command(parser: argparse.ArgumentParser, level: int = 2) -> Iterator[str]:
    yield from (f"{'#' * level} {parser.prog}", "", "```text", parser.format_help().strip(), "```", "")
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from _command(sub, level + 1)
