"""`sparse-qonnx report`."""

from __future__ import annotations

import argparse

from sparse_qonnx.cli.terminal import MISMATCH, OK, add_limits, positive, say, working

HELP = "write one HTML file that shows an ONNX file: graph, layers, events, firmware, comparison"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", metavar="MODEL.onnx", help="model file")
    data = "events to draw and compare on, as for `sparse-qonnx run --input`; random ones by default"
    parser.add_argument("--data", "--input", action="append", metavar="X.npy", help=data)
    parser.add_argument("-o", "--output", required=True, metavar="REPORT.html", help="file to write")
    parser.add_argument("--events", type=positive, default=100, metavar="N", help="events to compare on (default 100)")
    parser.add_argument("--pictures", type=positive, default=3, metavar="N", help="events to draw (default 3)")
    parser.add_argument("--config", metavar="HLS.yml", help="options of the firmware")
    without = "leave the firmware out, which is compiled to count its operations"
    parser.add_argument("--no-firmware", dest="firmware", action="store_false", help=without)
    add_limits(parser)


def run(args: argparse.Namespace) -> int:
    """Write the report; 1 where the comparison in it found a difference."""
    from sparse_qonnx.datasets import open_events
    from sparse_qonnx.files import files_of_model, read_model
    from sparse_qonnx.hls.yaml_config import read_config
    from sparse_qonnx.report import write_report
    from sparse_qonnx.system.outputs import output_file

    output_file(args.output, [*files_of_model(args.model), *([args.config] if args.config else [])])
    events = open_events(read_model(args.model), args.data) if args.data else None
    config = read_config(args.config) if args.config is not None else None
    with working(f"writing {args.output}"):
        report = write_report(
            args.model,
            args.output,
            events,
            most_events=args.events,
            pictures=args.pictures,
            firmware=args.firmware,
            config=config,
        )
    say(f"wrote {args.output}")
    say(report.summary)
    return OK if report.ok else MISMATCH
