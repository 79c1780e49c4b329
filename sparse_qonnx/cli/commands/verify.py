"""`sparse-qonnx verify`."""

from __future__ import annotations

import argparse

from sparse_qonnx.aside import scratch_folder
from sparse_qonnx.cli.terminal import add_input, compare, import_keras, positive, working

HELP = "compare all implementations of an ONNX file, value for value"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", metavar="MODEL.onnx", help="model file")
    add_input(parser, required=False)
    parser.add_argument("--events", type=positive, default=256, metavar="N", help="random events without --input (256)")
    parser.add_argument("--keras", metavar="MODEL.keras", help="compare the Keras model that was exported, too")
    parser.add_argument("--csim", action="store_true", help="compile and compare the C-simulation, too")


def run(args: argparse.Namespace) -> int:
    """Compare, and print the table."""
    from sparse_qonnx.arrays import random_inputs, read_inputs
    from sparse_qonnx.files import read_model

    model = read_model(args.model)
    inputs = read_inputs(model, args.input) if args.input else random_inputs(model, args.events)
    keras_model = None
    if args.keras:
        from sparse_qonnx.export.loading import load_model

        import_keras()
        with working(f"loading {args.keras}"):
            keras_model = load_model(args.keras)
    with scratch_folder() as folder:
        project = None
        if args.csim:
            from sparse_qonnx.hls import to_hls

            with working("compiling the C-simulation"):
                project = to_hls(args.model, folder / "firmware")
                project.compile()
        return compare(keras_model, model, project, inputs)
