"""`sparse-qonnx run`."""

from __future__ import annotations

import argparse
from pathlib import Path

from sparse_qonnx.cli.data import add_data, runner
from sparse_qonnx.cli.terminal import OK, add_input, add_limits, progress, say

HELP = "run an ONNX file in onnxruntime"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", metavar="MODEL.onnx", help="model file")
    add_input(parser, required=True)
    output = "file to write: .npy for one tensor, .npz or .h5 for any number"
    parser.add_argument("-o", "--output", required=True, metavar="Y.npy", help=output)
    tensor = "tensor to write instead of all outputs (repeatable)"
    parser.add_argument("--tensor", action="append", metavar="NAME", help=tensor)
    kernels = "native kernels (default), or the function bodies in the file, as stock onnxruntime runs them"
    parser.add_argument("--kernels", choices=["native", "function"], default="native", help=kernels)
    add_data(parser, batch=256)
    add_limits(parser)


def run(args: argparse.Namespace) -> int:
    """Run all events and write the outputs, or chosen tensors."""
    from sparse_qonnx.datasets import open_events
    from sparse_qonnx.files import files_of_model, read_model
    from sparse_qonnx.streaming.run import run_to_file
    from sparse_qonnx.system.outputs import output_file

    output_file(args.output, files_of_model(args.model))
    model = read_model(args.model)
    events = open_events(model, args.input)
    with runner(args, events) as spread, progress("running") as advance:
        result = run_to_file(
            model,
            events,
            Path(args.output),
            tensors=args.tensor,
            kernels=args.kernels,
            batch=args.batch,
            restart=args.restart,
            runner=spread,
            progress=advance,
        )
    say(f"wrote {args.output}: {', '.join(map(str, result.arrays))}")
    if result.inputs.changed:
        say(f"{result.inputs.describe()}; they were run as they are, firmware would round or saturate them")
    return OK
