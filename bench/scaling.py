"""How do time and memory of every step grow? One axis after the other, a table, a picture and fitted exponents.

make bench-scaling        or        python bench/scaling.py [--output build/scaling] [--only weights,slots,...]

Every point is measured in a process of its own. `--package DIR` measures the package of another checkout, and
`--before FILE` draws what an earlier run has written as dashed lines beside what is measured now.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

STANDARD = {"side": 64, "slots": 64, "channels": 8, "depth": 2, "units": 20}
"""The network that one thing at a time is changed of: side of the image, N, channels, convolutions, units."""

AXES: dict[str, tuple[str, dict[str, int], list[int]]] = {
    "weights": ("weights of the dense layer, of 1,024 inputs", {"channels": 1, "side": 32, "slots": 20}, []),
    "side": ("side of the image", {}, [32, 64, 128, 256, 512]),
    "slots": ("N", {"side": 128}, [64, 256, 1024, 4096]),
    "channels": ("channels", {}, [8, 16, 32, 64, 128]),
    "depth": ("convolutions", {}, [2, 4, 8, 16, 32]),
}
"""Name for people, what differs from the standard network, values."""

UNITS = [10, 40, 160, 640, 1280]
"""Units of the dense layer that weights are counted of."""

STEPS = ("export", "export from Keras", "session", "native", "NumPy", "firmware")
NOISE = 1e5
"""Bytes that come and go whatever is measured."""

PATIENCE = 600.0
"""Seconds for one point; what is not done by then is left out."""


def use_package(folder: str) -> None:
    """Import the package from a source tree in place of the installed one."""
    sys.meta_path[:] = [f for f in sys.meta_path if "ScikitBuild" not in type(f).__name__]
    sys.path.insert(0, folder)


# ---- one point -------------------------------------------------------------------------------------------------------


def network(side: int, slots: int, channels: int, depth: int, units: int, *, is_flat: bool) -> Any:
    """Convolutions of 3 x 3, sums of windows so that 8 x 8 pixels are left (none where it is flat), a dense layer."""
    import sparse_qonnx as sq

    rng = np.random.default_rng(3)

    def weights(*shape: int) -> Any:
        return rng.integers(-15, 16, shape) / 16

    net = sq.Network("scaling")
    x = net.input_reduce(net.input("image", (side, side, 1)), n_max_pixels=slots)
    for n in range(depth):
        x = net.relu(net.sparse_conv(x, weights(channels, channels if n else 1, 3, 3), weights(channels)))
        x = net.quant(x, bits=8, fractional_bits=5, signed=False)
    pooled = x if is_flat else net.sparse_pool(x, (side // 8, side // 8), mode="max")
    inputs = channels * (side * side if is_flat else 64)
    net.output(net.dense(net.flatten(pooled), weights(inputs, units), weights(units)))
    return net


def measured(run: Callable[[], object]) -> dict[str, float]:
    """Seconds, by the clock and of the processor, of the quickest of three calls or fewer; bytes of the first."""
    from memory import status

    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, times, used = status("VmRSS"), [], 0
    while len(times) < 3 and sum(seconds for seconds, _ in times) < 2:
        start = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        used = used or status("VmHWM") - before
    return {"seconds": min(t[0] for t in times), "cpu": min(t[1] for t in times), "bytes": max(used, 0)}


def point(axis: str, sizes: dict[str, int]) -> None:
    """Measure every step at one point; a line of JSON a step, so that nothing is lost where a later one takes long."""
    import tempfile

    import models

    import sparse_qonnx as sq
    from sparse_qonnx.limits import Limits, using
    from sparse_qonnx.reference import run_reference

    is_flat = axis == "weights"
    events = 4
    x = models.images(sizes["side"], 2 * sizes["slots"], events)
    folder = Path(tempfile.mkdtemp())
    small = network(**STANDARD, is_flat=False).build("ap_ufixed<8,2>")
    sq.to_hls(small, folder / "first")  # what is imported or compiled once is not what is measured
    sq.InferenceSession(small).run(None, {"image": models.images(64, 10, 1)})
    run_reference(small, {"image": models.images(64, 10, 1)})

    def report(step: str, run: Callable[[], object]) -> None:
        print(json.dumps({"step": step, **measured(run)}), flush=True)

    def firmware() -> None:
        sq.to_hls(model, Path(tempfile.mkdtemp(dir=folder)) / "firmware")

    with using(Limits(firmware_constants=2**24, tensor_values=2**26, firmware_bytes=2**30)):
        net = network(**sizes, is_flat=is_flat)
        model = net.build("ap_ufixed<8,2>")
        report("export", lambda: network(**sizes, is_flat=is_flat).build("ap_ufixed<8,2>"))
        content = model.SerializeToString()
        report("session", lambda: sq.InferenceSession(content))
        session = sq.InferenceSession(content)
        report("native", lambda: session.run(None, {"image": x}))
        report("NumPy", lambda: run_reference(model, {"image": x}))
        report("firmware", firmware)
    if is_flat:
        subject = models.wide(sizes["side"], sizes["units"], sizes["slots"]).keras
        sq.export(models.wide(8, 2, 4).keras, input_precision="ap_ufixed<8,2>")
        report("export from Keras", lambda: sq.export(subject, input_precision="ap_ufixed<8,2>"))


# ---- all points ------------------------------------------------------------------------------------------------------

Table = dict[str, dict[int, dict[str, float]]]
"""Seconds and bytes by step and value."""


def sweep(axis: str, package: str | None, points: int | None) -> Table:
    _, base, values = AXES[axis]
    key = "units" if axis == "weights" else axis
    found: Table = {}
    for value in (UNITS if axis == "weights" else values)[:points]:
        sizes = {**STANDARD, **base, **({"depth": 1} if axis == "weights" else {}), key: value}
        call = [
            sys.executable,
            __file__,
            "--point",
            axis,
            json.dumps(sizes),
            *(["--package", package] if package else []),
        ]
        with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as child:
            try:
                output, _ = child.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                output, _ = child.communicate()
        place = 1024 * value if axis == "weights" else value
        for line in output.splitlines():
            if line.startswith("{"):
                entry = json.loads(line)
                found.setdefault(entry.pop("step"), {})[place] = entry
        print(f"  {axis} {place:,}", file=sys.stderr)
    return found


def exponent(points: dict[int, dict[str, float]], what: str) -> float | None:
    """Slope of the logarithms over the last three points, where what is always there counts the least.

    None where they are too few, or so little memory that it is noise.
    """
    places = sorted(points)[-3:]
    values = [points[p][what] for p in places]
    if len(places) < 2 or min(values) < (NOISE if what == "bytes" else 1e-9):
        return None
    return float(np.polyfit(np.log(places), np.log(values), 1)[0])


def rows(axis: str, found: Table, clock: str = "seconds") -> list[list[str]]:
    steps = [step for step in STEPS if step in found]
    places = sorted({p for points in found.values() for p in points})
    lines = [[AXES[axis][0], *(f"{step}, s (MB)" for step in steps)]]
    for place in places:
        line = [f"{place:,}"]
        for step in steps:
            entry = found[step].get(place)
            line.append("-" if entry is None else f"{entry[clock]:.3g} ({entry['bytes'] / 1e6:.3g})")
        lines.append(line)
    slopes = ([exponent(found[step], what) for what in (clock, "bytes")] for step in steps)
    last = ("{} ({})".format(*("-" if slope is None else f"{slope:.2f}" for slope in pair)) for pair in slopes)
    return [*lines, ["exponent", *last]]


def draw(results: dict[str, Table], before: dict[str, Table], path: Path, clock: str) -> None:
    """A panel for each axis, times above memory."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    what = ((clock, "s", 1.0), ("bytes", "MB", 1e-6))
    figure, panels = plt.subplots(
        2, len(results), figsize=(4 * len(results), 7), squeeze=False, constrained_layout=True
    )
    for column, (axis, found) in enumerate(results.items()):
        for row, (key, unit, factor) in enumerate(what):
            panel = panels[row][column]
            for n, step in enumerate(STEPS):
                for table, style in ((found, "o-"), (before.get(axis, {}), "x--")):
                    points = {int(p): v for p, v in table.get(step, {}).items()}
                    places = sorted(points)
                    label = (step if style == "o-" else f"{step}, before") if points else None
                    values = [max(points[p][key], NOISE if key == "bytes" else 1e-6) * factor for p in places]
                    panel.plot(places, values, style, color=f"C{n}", label=label, markersize=4)
            panel.set(xscale="log", yscale="log", xlabel=AXES[axis][0], ylabel=unit)
            panel.grid(alpha=0.3)
    panels[0][0].legend(fontsize=6)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("build/scaling"))
    parser.add_argument("--only", default=",".join(AXES))
    parser.add_argument("--package", help="source tree whose package is measured")
    parser.add_argument("--before", type=Path, help="scaling.json of an earlier run")
    parser.add_argument("--points", type=int, help="of each axis, from the smallest on")
    parser.add_argument("--clock", choices=("seconds", "cpu"), default="seconds", help="cpu: on a machine that is busy")
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.point:
        if options.package:
            use_package(options.package)
        point(options.point[0], json.loads(options.point[1]))
        return
    from run import show

    options.output.mkdir(parents=True, exist_ok=True)
    package = None if options.package is None else str(Path(options.package).resolve())
    if package is not None:  # a source tree has no native kernels: those that are installed take their place
        import sparse_qonnx as sq

        os.environ["SPARSE_QONNX_LIBRARY"] = sq.get_library_path()
    results: dict[str, Table] = {}
    for axis in options.only.split(","):
        results[axis] = sweep(axis, package, options.points)
        show(f"Time and memory against {AXES[axis][0]}", rows(axis, results[axis], options.clock))
        (options.output / "scaling.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    before = json.loads(options.before.read_text(encoding="utf-8")) if options.before else {}
    draw(results, before, options.output / "scaling.png", options.clock)
    print(f"\nTables and pictures: {options.output}")


if __name__ == "__main__":
    main()
