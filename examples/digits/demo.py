"""From a trained sparse Keras model to one ONNX file, to stock onnxruntime and to C-simulated firmware, bit for bit.

make demo        or        python examples/digits/demo.py [--output build/digits] [--events 500]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import data
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import sparse_qonnx as sq

REPOSITORY = Path(__file__).resolve().parents[2]
console = Console(highlight=False)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print a headline, and after the work how long it took."""
    console.print(f"[bold]{title}[/bold]")
    start = time.perf_counter()
    yield
    console.print(f"  [dim]{time.perf_counter() - start:.1f} s[/dim]")


@contextmanager
def quiet() -> Iterator[None]:
    """TensorFlow talks about its build while it is imported, past Python's stderr: keep that out of the demo."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    sys.stderr.flush()
    stderr = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def size(path: Path) -> str:
    """Size of a file, or of all files of a folder, in kB."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return f"{sum(p.stat().st_size for p in files) / 1000:.0f} kB"


def accuracy(predict: Callable[[], NDArray[np.float32]], labels: NDArray[np.float32]) -> tuple[str, str]:
    """Share of right decisions, and the time it took to take them."""
    start = time.perf_counter()
    right = (predict().argmax(axis=1) == labels).mean()
    return f"{right:.1%}", f"{time.perf_counter() - start:.2f} s"


def fresh_folder(path: Path) -> Path:
    """An empty folder; what an earlier run of the demo left there is removed."""
    if (path / "digits.onnx").exists():
        shutil.rmtree(path)
    path.mkdir(parents=True, exist_ok=True)
    return path


def main() -> int:
    """Run the demo; 0 only when every fixed-point tensor agrees everywhere."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "digits", help="folder to write")
    parser.add_argument("--events", type=int, default=500, help="events for the comparison")
    parser.add_argument("--training", type=int, default=25_600, help="events to train on")
    arguments = parser.parse_args()
    folder = fresh_folder(arguments.output)
    saved, onnx_file, firmware, png = (folder / n for n in ("digits.keras", "digits.onnx", "firmware", "event.png"))

    with quiet():
        import model as digits
    with step("Train a sparse CNN on digits lost on a 32x32 canvas"):
        x_train, y_train, x_test, y_test = data.load(arguments.training)
        keras_model = digits.build()
        digits.train(keras_model, x_train, y_train)
        keras_model.save(saved)
    with step(f"Export it: {saved.name} -> {onnx_file.name}"):
        # a pixel is k / 16, k = 0 … 16: five bits, one of them before the point
        sq.export(saved, onnx_file, input_precision="ap_ufixed<5,1>")
    with step("Run it in onnxruntime, with nothing of this package registered"):
        session = ort.InferenceSession(onnx_file, providers=["CPUExecutionProvider"])
        input_name = session.get_inputs()[0].name
    with step("Write the HLS project and compile its C-simulation"):
        project = sq.to_hls(onnx_file, firmware, backend="Vitis")
        project.compile()

    x, y = x_test[: arguments.events], y_test[: arguments.events]
    np.save(folder / "x.npy", x)
    with step(f"Compare every tensor of {len(x)} events, value for value"):
        report = sq.verify(onnx_file, x, keras_model, project)
        console.print(report.table)

    results = Table("", "accuracy", "time", "file", "size", title=f"{len(x)} unseen events")
    results.add_row("Keras", *accuracy(lambda: keras_model.predict(x, verbose=0), y), saved.name, size(saved))
    stock = accuracy(lambda: session.run(None, {input_name: x})[0], y)
    results.add_row("onnxruntime", *stock, onnx_file.name, size(onnx_file))
    results.add_row("C-simulation", *accuracy(lambda: project.predict(x), y), f"{firmware.name}/", size(firmware))
    console.print(results)

    sq.plot_event(onnx_file, x[0], title=f"true digit: {int(y[0])}").savefig(png, dpi=130)
    console.print(f"One event on its way through the layers: {png}")
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
