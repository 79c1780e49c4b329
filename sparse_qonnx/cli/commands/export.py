"""`sparse-qonnx export`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sparse_qonnx.cli.terminal import OK, add_limits, import_keras, say, working
from sparse_qonnx.errors import ConfigurationError

HELP = "write a Keras model as an ONNX file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", nargs="?", metavar="MODEL.keras", help="saved Keras model")
    parser.add_argument("--builder", metavar="PACKAGE.MODULE:FUNCTION", help="builds the model whose weights are given")
    parser.add_argument("--weights", metavar="FILE.weights.h5", help="saved weights, with --builder")
    trust = "load Python code that the saved model carries (Keras safe mode off): only for files you made"
    parser.add_argument("--trust", action="store_true", help=trust)
    parser.add_argument("-o", "--output", required=True, metavar="MODEL.onnx", help="file to write")
    precision = (
        "fixed-point type of the inputs, such as 'ap_ufixed<8,1>', or NAME=TYPE for one of several (repeatable); "
        "derived from the quantizers by default"
    )
    parser.add_argument("--input-precision", action="append", default=[], metavar="TYPE", help=precision)
    add_limits(parser)


def run(args: argparse.Namespace) -> int:
    """Export, and say which types the inputs have."""
    from sparse_qonnx.export import export
    from sparse_qonnx.passes.infer_grids import input_types
    from sparse_qonnx.system.outputs import output_file

    source = _keras_source(args)
    output_file(args.output, [source])
    precision = _input_precisions(args.input_precision)
    import_keras()
    with working(f"exporting {source}"):
        model = export(source, args.output, precision, builder=args.builder, safe_mode=not args.trust)
    say(f"wrote {args.output}: {len(model.graph.node)} nodes, {Path(args.output).stat().st_size:,} bytes")
    types = input_types(model)
    given = precision if isinstance(precision, dict) else dict.fromkeys(types, precision)
    for value in model.graph.input:
        told = str(types.get(value.name, "no fixed-point type; firmware needs one: give --input-precision"))
        derived = value.name in types and not given.get(value.name)
        say(f"input {value.name}: {told}{', from its quantizers; --input-precision says another' if derived else ''}")
    return OK


def _keras_source(args: argparse.Namespace) -> str:
    """The saved model, or the weights that go with a builder."""
    with_builder = args.builder is not None
    if (args.weights is not None) != with_builder or (args.model is not None) == with_builder:
        allowed = "MODEL.keras, or --builder PACKAGE.MODULE:FUNCTION with --weights FILE.weights.h5"
        given = [n for n in ("model", "builder", "weights") if getattr(args, n) is not None]
        raise ConfigurationError("sparse-qonnx export", f"got {' and '.join(given) or 'no model'}", allowed=allowed)
    return str(args.weights if with_builder else args.model)


def _input_precisions(texts: Sequence[str]) -> str | dict[str, str] | None:
    """One type for every input, or a mapping from `NAME=TYPE`."""
    if len(texts) == 1 and "=" not in texts[0]:
        return texts[0]
    pairs = [text.partition("=") for text in texts]
    for name, equals, _ in pairs:
        if not equals:
            allowed = "one TYPE for all inputs, or NAME=TYPE for each"
            raise ConfigurationError("--input-precision", f"{name!r} names no input", allowed=allowed)
    return {name: kind for name, _, kind in pairs} or None
