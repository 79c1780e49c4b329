"""Arguments of the commands that go through a data set, and where they run it."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from sparse_qonnx.cli.terminal import positive

if TYPE_CHECKING:
    from sparse_qonnx.datasets import Events
    from sparse_qonnx.streaming.spans import Runner


def add_data(parser: argparse.ArgumentParser, batch: int) -> None:
    """`--batch-size`, `--restart` and `--dask`."""
    text = f"events at a time (default {batch})"
    parser.add_argument("--batch-size", "--batch", dest="batch", type=positive, default=batch, metavar="N", help=text)
    restart = "begin again, where an interrupted run with the same output would be gone on with"
    parser.add_argument("--restart", action="store_true", help=restart)
    dask = "spread the batches over the Dask cluster of this scheduler, such as tcp://host:8786"
    parser.add_argument("--dask", metavar="ADDRESS", help=dask)


def runner(args: argparse.Namespace, events: Events) -> AbstractContextManager[Runner]:
    """The cluster that was given, or this process."""
    from sparse_qonnx.streaming.spans import run_here

    if args.dask is None:
        return nullcontext(run_here)
    from sparse_qonnx.streaming.cluster import connect

    return connect(args.dask, events)
