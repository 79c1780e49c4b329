"""The two commands: `sparse-qonnx` and `qonnx-to-hls`.

Each module of the folder `commands` is a command of `sparse-qonnx`, of that name: `HELP`, `add_arguments(parser)` and
`run(args)`, which returns an exit code. Exit codes: 0 success, 1 a comparison found mismatches, 2 an error, told in one
message on stderr.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Sequence

from sparse_qonnx.cli import commands, to_hls
from sparse_qonnx.cli.terminal import add_version, call


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `sparse-qonnx`."""
    return call(build_parser(), argv)


def main_hls(argv: Sequence[str] | None = None) -> int:
    """Entry point of `qonnx-to-hls`."""
    return call(to_hls.build_parser(), argv)


def build_parser() -> argparse.ArgumentParser:
    """The parser of `sparse-qonnx`, with that of every command."""
    parser = argparse.ArgumentParser(prog="sparse-qonnx", description="Sparse quantized CNNs as one ONNX file.")
    add_version(parser)
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for found in pkgutil.iter_modules(commands.__path__):
        command = importlib.import_module(f"{commands.__name__}.{found.name}")
        summary = f"{command.HELP[0].upper()}{command.HELP[1:]}."
        sub = choices.add_parser(found.name.replace("_", "-"), help=command.HELP, description=summary)
        sub.set_defaults(run=command.run)
        command.add_arguments(sub)
    return parser
