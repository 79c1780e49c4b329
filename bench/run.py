"""How fast are the native kernels? One run, a table and a picture for each question, JSON beside them.

make bench        or        python bench/run.py [--output build/bench] [--only rivals,image,...]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import memory
import models
import numpy as np
import onnxruntime as ort
from dense import dense_graph
from timing import Timing, interleaved

import sparse_qonnx as sq
from sparse_qonnx.runtime import run_qonnx

CORES = len(os.sched_getaffinity(0))
LIMIT = "reading the input once (np.max)"
NATIVE = "native kernels"
Table = dict[str, Any]


def stock(model: Any, threads: int = 0) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def native(model: Any, threads: int = 0) -> sq.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return sq.InferenceSession(model, options)


def keras_onnx(model: Any, folder: Path) -> Any:
    """Keras' own export, or tf2onnx where that fails; None, and why, where both do."""
    import onnx

    path = str(folder / "keras.onnx")
    model(np.zeros((1, *model.inputs[0].shape[1:]), np.float32))  # exporting needs a model that has been called
    try:
        model.export(path, format="onnx", verbose=False)
        return onnx.load(path)
    except Exception as error:
        print(f"  Keras' export failed ({str(error).splitlines()[0][:80]}); trying tf2onnx", file=sys.stderr)
    try:
        import tensorflow as tf
        import tf2onnx

        signature = [tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32, name="x")]
        function = tf.function(lambda x: model(x, training=False), input_signature=signature)
        return tf2onnx.convert.from_function(function, input_signature=signature, opset=18)[0]
    except Exception as error:
        print(f"  no ONNX of Keras' own: {str(error).splitlines()[0][:120]}", file=sys.stderr)
        return None


def rivals(subject: models.Subject, folder: Path) -> dict[str, Callable[[Any], Any]]:
    """Everything that computes the subject, by name; each takes events `[B, H, W, 1]`."""
    import tensorflow as tf

    model = sq.export(subject.keras, folder / "model.onnx")
    name = model.graph.input[0].name
    sessions: dict[str, Any] = {
        NATIVE: native(model),
        "stock onnxruntime, function bodies": sq.InferenceSession(model, kernels="function"),
        "best dense ONNX graph": stock(dense_graph(model)),
    }
    exported = keras_onnx(subject.keras, folder)
    if exported is not None:
        sessions["Keras' ONNX export"] = stock(exported)
    result: dict[str, Callable[[Any], Any]] = {}
    for title, session in sessions.items():
        input_name = session.get_inputs()[0].name
        result[title] = lambda x, s=session, n=input_name: s.run(None, {n: x})[0]
    compiled = {"TensorFlow": False, "TensorFlow, XLA": True}
    for title, xla in compiled.items():
        function = tf.function(lambda x: subject.keras(x, training=False), jit_compile=xla)
        result[title] = lambda x, f=function: f(tf.constant(x)).numpy()
    result["qonnx, node by node"] = lambda x: run_qonnx(model, {name: x})
    return result


def agreement(ways: dict[str, Callable[[Any], Any]], x: Any) -> None:
    """Everybody computes the same network; floats in another order may differ in their last bits."""
    expected = ways[NATIVE](x)
    for title, run in ways.items():
        if not title.startswith("qonnx"):
            difference = float(np.abs(run(x) - expected).max())
            assert difference < 1e-3, f"{title} computes something else: {difference}"


def compare(subject: models.Subject, slow_batch: int) -> Table:
    """Microseconds an event, in a batch and alone. qonnx gets few events, since its time is all overhead."""
    with tempfile.TemporaryDirectory() as folder:
        ways = rivals(subject, Path(folder))
        x, one = subject.events, subject.events[:1].copy()
        agreement(ways, x[:50])
        sizes = {n: 20 if n.startswith("qonnx") else len(x) if n == NATIVE else min(len(x), slow_batch) for n in ways}
        batches = {n: x[: sizes[n]].copy() for n in ways}
        batch_cases = {n: (lambda r=run, b=batches[n]: r(b)) for n, run in ways.items()}
        single_cases = {n: (lambda r=run: r(one)) for n, run in ways.items() if not n.startswith("qonnx")}
        limit_batch, limit_one = {LIMIT: lambda: x.max()}, {LIMIT: lambda: one.max()}
        counts = {**sizes, LIMIT: len(x)}
        batch = interleaved({**batch_cases, **limit_batch}, counts, 20)
        single = interleaved({**single_cases, **limit_one}, 1, 8, burst=30)
        warm = interleaved({NATIVE: batch_cases[NATIVE], **limit_batch}, len(x), 4, burst=12)
    return {"title": subject.name, "batch": batch, "single": single, "warm": warm, "events": counts}


def rows(result: Table) -> list[list[str]]:
    batch, single = result["batch"], result["single"]
    lines = [["", "batch, µs an event", "times native", "single event, µs", "times native"]]
    for name in sorted(batch, key=lambda n: -batch[n].median):
        line = [name, f"{batch[name].median:.2f}", f"{batch[name].median / batch[NATIVE].median:.3g}"]
        if name in single:
            line += [f"{single[name].median:.0f}", f"{single[name].median / single[NATIVE].median:.3g}"]
        lines.append(line)
    return lines


def show(title: str, lines: list[list[str]]) -> None:
    print(f"\n{title}\n")
    width = [max(len(line[k]) for line in lines if k < len(line)) for k in range(len(lines[0]))]
    for line in lines:
        padded = [*line, *[""] * (len(width) - len(line))]
        print(
            "  "
            + "  ".join(
                t.ljust(w) if k == 0 else t.rjust(w) for k, (t, w) in enumerate(zip(padded, width, strict=True))
            )
        )


def sweep(title: str, axis: str, points: dict[int, dict[str, Callable[[], object]]], events: int) -> Table:
    """Times along one axis; the points are measured in turns as well."""
    cases = {f"{p}|{name}": run for p, runs in points.items() for name, run in runs.items()}
    times = interleaved(cases, events, 2.0 * len(cases))
    series: dict[str, dict[int, Timing]] = {}
    for key, value in times.items():
        point, name = key.split("|")
        series.setdefault(name, {})[int(point)] = value
    return {"title": title, "axis": axis, "series": series}


def over_pixels() -> Table:
    points = {}
    for side in (32, 64, 128, 256):
        x, model = models.images(side, 40, 100), models.graph(side, 20)
        ours, dense = native(model, 1), stock(dense_graph(model), 1)
        points[side * side] = {
            NATIVE: lambda s=ours, x=x: s.run(None, {"image": x}),
            "best dense ONNX graph": lambda s=dense, x=x: s.run(None, {"image": x}),
            LIMIT: lambda x=x: x.max(),
        }
    return sweep("Time against the size of the image, N = 20, one thread", "pixels of the image", points, 100)


def over_slots() -> Table:
    points = {}
    for slots in (8, 16, 32, 64, 128, 256, 512):
        x, session = models.images(128, slots * 3, 100), native(models.graph(128, slots), 1)
        points[slots] = {NATIVE: lambda s=session, x=x: s.run(None, {"image": x})}
    result = sweep("Time against N, 128 x 128 pixels, all slots filled, one thread", "N", points, 100)
    times = result["series"][NATIVE]
    result["exponent"] = float(np.log(times[512].median / times[8].median) / np.log(512 / 8))
    return result


def over_threads(subject: models.Subject) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        model = sq.export(subject.keras, Path(folder) / "model.onnx")
    name, x = model.graph.input[0].name, subject.events
    points = {}
    for threads in sorted({1, 2, min(4, CORES), CORES}):
        session = native(model, threads)
        points[threads] = {NATIVE: lambda s=session: s.run(None, {name: x})}
    return sweep(f"Time against threads, {CORES} cores: {subject.name}", "threads", points, len(x))


def sweep_rows(result: Table) -> list[list[str]]:
    names = list(result["series"])
    lines = [[result["axis"], *(f"{n}, µs an event" for n in names)]]
    points = sorted({p for s in result["series"].values() for p in s})
    return lines + [[str(p), *(f"{result['series'][n][p].median:.2f}" for n in names)] for p in points]


def encode(value: Any) -> Any:
    return {"median": value.median, "best": value.best} if isinstance(value, Timing) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/bench"))
    parser.add_argument("--only", default="rivals,image,pixels,slots,threads,memory")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    from pictures import bars, curves

    subject = models.main_subject() if {"rivals", "threads"} & {*options.only.split(",")} else None
    questions: dict[str, tuple[Callable[[], Table], Any, Any]] = {
        "rivals": (lambda: compare(subject, 1000), rows, bars),
        "image": (lambda: compare(models.neutrino(256, 20, 200), 50), rows, bars),
        "pixels": (over_pixels, sweep_rows, curves),
        "slots": (over_slots, sweep_rows, curves),
        "threads": (lambda: over_threads(subject), sweep_rows, curves),
        "memory": (memory.peaks, memory.rows, memory.bars),
    }
    for name in options.only.split(","):
        measure, lines, draw = questions[name]
        result = measure()
        show(result["title"], lines(result))
        if "warm" in result:
            ours, limit = result["warm"][NATIVE].median, result["warm"][LIMIT].median
            print(
                f"\n  again and again, nothing in between: {ours:.2f} µs an event, {ours / limit:.1f} times the limit"
            )
        if "exponent" in result:
            print(f"\n  grows with N^{result['exponent']:.2f} from the first to the last point")
        (options.output / f"{name}.json").write_text(json.dumps(result, default=encode, indent=1), encoding="utf-8")
        draw(result, options.output / f"{name}.png")
    print(f"\nTables and pictures: {options.output}")


if __name__ == "__main__":
    main()
