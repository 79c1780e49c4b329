"""An hls4ml project from a sparse-qonnx file, its C-simulation compared with ours, value for value.

    python examples/hls4ml/convert.py model.onnx --input events.npy -o hls4ml_project

Needs the extra `[hls4ml]` and g++. Exit code 0 only when every value agrees.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import hls4ml
import numpy as np

import sparse_qonnx as sq
from sparse_qonnx import hls4ml_bridge


def main() -> int:
    """Convert, compile, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--input", type=Path, required=True, help="events, .npy, on the input grid")
    parser.add_argument("-o", "--output", type=Path, default=Path("hls4ml_project"))
    parser.add_argument("--backend", default="Vitis", choices=("Vitis", "Vivado"))
    parser.add_argument("--events", type=int, default=500, help="how many of them")
    arguments = parser.parse_args()
    x = np.load(arguments.input)[: arguments.events].astype(np.float32)

    hls4ml_bridge.register()
    model = hls4ml_bridge.prepare(arguments.model)
    config = hls4ml_bridge.make_config(model, arguments.backend)
    start = time.perf_counter()
    project = hls4ml.converters.convert_from_onnx_model(
        model, hls_config=config, output_dir=str(arguments.output), backend=arguments.backend, io_type="io_parallel"
    )
    project.compile()
    print(f"hls4ml project {arguments.output}, compiled in {time.perf_counter() - start:.0f} s")
    for layer in project.get_layers():
        types = ", ".join(str(v.type.precision) for v in layer.get_variables())
        print(f"  {layer.name:28s} {layer.class_name:30s} {types}")
    got = np.asarray(project.predict(x))

    with tempfile.TemporaryDirectory() as folder:
        ours = sq.to_hls(arguments.model, Path(folder) / "firmware", config={"head": "skip"})
        ours.compile()
        want = np.asarray(ours.predict(x, tensor=ours.graph.outputs[0].name))
    differing = int((got.reshape(want.shape) != want).sum())
    print(f"{ours.graph.outputs[0].name}: {differing} mismatches in {want.size} values of {len(x)} events")
    return 0 if differing == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
