"""`make soak`: a million calls of one session, an event each, and the memory of the process on the way.

Exit code 1 when the process holds more than a megabyte more at the end than after a tenth of the calls.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime

from kill.commands import material
from sparse_qonnx.runtime import InferenceSession

ALLOWED = 1 << 20
STEPS = 10


def resident() -> int:
    """Bytes of this process that are in memory."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def soak(model: Path, calls: int, kernels: str) -> list[int]:
    """Bytes held after each tenth of the calls."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = InferenceSession(model, options, kernels=kernels)
    (given,) = session.get_inputs()
    rng = np.random.default_rng(0)
    x = (rng.integers(0, 64, (64, *given.shape[1:])) / 32).astype(np.float32)
    x[rng.random(x.shape) < 0.7] = 0
    feeds = [{given.name: x[n : n + 1]} for n in range(len(x))]
    held = []
    for step in range(STEPS):
        begin = time.perf_counter()
        for call in range(calls // STEPS):
            session.run(None, feeds[call % len(feeds)])
        took = (time.perf_counter() - begin) / (calls // STEPS)
        held.append(resident())
        print(f"{(step + 1) * calls // STEPS:>10,} calls  {held[-1] / 2**20:8.2f} MiB  {took * 1e6:6.1f} us a call")
    return held


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", help="a small one of our own by default")
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--kernels", choices=["native", "function"], default="native")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.model is None:
            material(Path(folder))
        held = soak(options.model or Path(folder) / "m.onnx", options.calls, options.kernels)
    grown = held[-1] - held[0]
    print(f"{options.calls:,} calls, {options.kernels}: {grown / 2**10:+.0f} KiB since the first tenth")
    return 1 if grown > ALLOWED else 0


if __name__ == "__main__":
    sys.exit(main())
