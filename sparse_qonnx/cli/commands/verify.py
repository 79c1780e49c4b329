"""`sparse-qonnx verify`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sparse_qonnx.cli.data import add_data, runner
from sparse_qonnx.cli.terminal import (
    add_input,
    add_limits,
    import_keras,
    positive,
    progress,
    show_report,
    working,
)
from sparse_qonnx.errors import ConfigurationError, ModelFileError
from sparse_qonnx.system.atomic import scratch_folder

HELP = "compare all implementations of an ONNX file, value for value"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", metavar="MODEL.onnx", help="model file")
    add_input(parser, required=False)
    parser.add_argument("--events", type=positive, default=256, metavar="N", help="random events without --input (256)")
    parser.add_argument("--keras", metavar="MODEL.keras", help="compare the Keras model that was exported, too")
    other = "compare another ONNX file that is to compute the same, too (repeatable)"
    parser.add_argument("--other", action="append", default=[], metavar="OTHER.onnx", help=other)
    parser.add_argument("--csim", action="store_true", help="compile and compare the C-simulation, too")
    report = "write the report as JSON, too; an interrupted comparison is gone on with"
    parser.add_argument("-o", "--output", metavar="REPORT.json", help=report)
    add_data(parser, batch=128)
    add_limits(parser)


def run(args: argparse.Namespace) -> int:
    """Compare, and print the table."""
    from sparse_qonnx.datasets import InMemoryEvents, open_events
    from sparse_qonnx.datasets.events import files_of
    from sparse_qonnx.datasets.random import random_inputs
    from sparse_qonnx.files import files_of_model, read_model
    from sparse_qonnx.streaming.verify import verify_events
    from sparse_qonnx.system.outputs import output_file

    if args.output:
        models = [file for model in (args.model, *args.other) for file in files_of_model(model)]
        output_file(args.output, [*models, *([args.keras] if args.keras else [])])
    if args.dask and (args.keras or args.csim or args.other):
        allowed = "the implementations that need the ONNX file alone"
        raise ConfigurationError("--dask", "compares no Keras model, C-simulation or other file", allowed=allowed)
    model = read_model(args.model)
    events = open_events(model, args.input) if args.input else InMemoryEvents(random_inputs(model, args.events))
    if args.output:
        output_file(args.output, [file.path for file in files_of(events)])
    with scratch_folder() as folder:
        verifier = None if args.dask else _verifier(args, model, folder)
        with runner(args, events) as spread, progress("comparing") as advance:
            report = verify_events(
                model,
                events,
                verifier=verifier,
                output=Path(args.output) if args.output else None,
                options=_options(args),
                batch=args.batch,
                restart=args.restart,
                runner=spread,
                progress=advance,
            )
    return show_report(report)


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """What the report depends on beside the model and the events."""
    others = {"other": [_described(path) for path in args.other]} if args.other else {}
    return {"keras": _described(args.keras) if args.keras else None, "csim": args.csim, **others}


def _described(path: str) -> list[Any]:
    try:
        status = Path(path).stat()
    except OSError as error:
        raise ModelFileError(
            f"model file {path!r}", f"cannot be read: {error.strerror}", fix="check the path"
        ) from error
    return [path, status.st_size, status.st_mtime_ns]


def _verifier(args: argparse.Namespace, model: Any, folder: Path) -> Any:
    """Everything that is to be compared in this process."""
    from sparse_qonnx.verify import Verifier

    keras_model = project = None
    if args.keras:
        from sparse_qonnx.export.loading import load_model

        import_keras()
        with working(f"loading {args.keras}"):
            keras_model = load_model(args.keras)
    if args.csim:
        from sparse_qonnx.hls import to_hls

        with working("compiling the C-simulation"):
            project = to_hls(args.model, folder / "firmware")
            project.compile()
    return Verifier(model, keras_model, project, args.other)
