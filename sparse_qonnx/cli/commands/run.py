"""`sparse-qonnx run`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sparse_qonnx.cli.terminal import OK, add_input, positive, progress, require_folder, say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HELP = "run an ONNX file in onnxruntime"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("model", metavar="MODEL.onnx", help="model file")
    add_input(parser, required=True)
    parser.add_argument("-o", "--output", required=True, metavar="Y.npy", help="file to write")
    parser.add_argument("--tensor", metavar="NAME", help="tensor to write instead of the first output")
    kernels = "native kernels (default), or the function bodies in the file, as stock onnxruntime runs them"
    parser.add_argument("--kernels", choices=["native", "function"], default="native", help=kernels)
    parser.add_argument("--batch", type=positive, default=256, metavar="N", help="events at a time (default 256)")


def run(args: argparse.Namespace) -> int:
    """Run all events and write one tensor of them."""
    import numpy as np

    from sparse_qonnx.arrays import batches, read_inputs, write_array
    from sparse_qonnx.files import read_model
    from sparse_qonnx.runtime import InferenceSession, with_outputs

    require_folder(args.output)
    model = read_model(args.model)
    name = args.tensor or model.graph.output[0].name
    inputs = read_inputs(model, args.input)
    session = InferenceSession(with_outputs(model, [name]), kernels=args.kernels)
    parts: list[NDArray[Any]] = []
    with progress("running") as advance:
        for done, total, batch in batches(inputs, args.batch):
            parts.append(session.run([name], batch)[0])
            advance(done, total)
    result: NDArray[np.generic] = np.concatenate(parts)
    write_array(result, args.output)
    say(f"wrote {args.output}: {name} {list(result.shape)} {result.dtype}")
    return OK
