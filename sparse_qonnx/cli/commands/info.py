"""`sparse-qonnx info`."""

from __future__ import annotations

import argparse

from sparse_qonnx.cli.terminal import OK, OUT, add_limits

HELP = "show what is in an ONNX file: nodes, shapes, number formats"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", metavar="MODEL.onnx", help="model file")
    add_limits(parser)


def run(args: argparse.Namespace) -> int:
    """Print what is in the file."""
    from sparse_qonnx.info import describe

    for part in describe(args.model):
        OUT.print(part)
    return OK
