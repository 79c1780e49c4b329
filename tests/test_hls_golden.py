"""Generated projects as they were when somebody last read them.

A change of the generator shows here as a change of text: read the difference, then write the new files with
`SPARSE_QONNX_UPDATE_GOLDEN=1 pytest tests/test_hls_golden.py`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from sparse_qonnx.files import read_model
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.hls import to_hls
from sparse_qonnx.passes import finalize

GOLDEN = Path(__file__).parent / "golden"
UPDATE = bool(os.environ.get("SPARSE_QONNX_UPDATE_GOLDEN"))


def per_pixel() -> ModelProto:
    """A network whose quantizer has a format for every pixel, as HGQ2 trains them by default; named by the user."""
    rng = np.random.default_rng(3)
    g = GraphBuilder("per_pixel")
    x, coords = g.sparse("InputReduce", [g.input("image", [4, 5, 2])], ["r", "r.coords"], n_max_pixels=3, threshold=0.0)
    w = g.quantized_constant("conv.kernel", rng.integers(-3, 4, (2, 2, 1, 3)).astype(np.float32) / 4)
    (x,) = g.sparse("SparseConv", [x, coords, w], ["conv"], kernel_shape=[1, 3])
    formats = [
        g.constant(f"conv.oq.{part}", rng.integers(low, high, (4, 5, 2)).astype(np.float32))
        for part, low, high in (("k", 0, 2), ("i", -1, 3), ("f", 0, 4))
    ]
    modes = {"rounding_mode": "RND_CONV", "overflow_mode": "SAT_SYM"}
    (x,) = g.sparse("FixedPointQuant", [x, *formats, coords], ["conv.oq"], **modes)
    pool = {"mode": "average", "kernel_shape": [3, 1], "spatial_shape": [4, 5]}
    x, coords = g.sparse("SparsePool", [x, coords], ["pool", "pool.coords"], **pool)
    (x,) = g.sparse("SparseToDense", [x, coords], ["image.dense"], spatial_shape=[1, 5])
    (x,) = g.node("Flatten", [x], ["flatten"])
    (x,) = g.node(
        "MatMul", [x, g.quantized_constant("out.kernel", rng.integers(-3, 4, (10, 2)).astype(np.float32) / 2)], ["out"]
    )
    g.output(x)
    return finalize(g.build(), "ap_fixed<5,2>")


Case = tuple[Callable[[Path], ModelProto], dict[str, object]]
CASES: dict[str, Case] = {
    "small": (read_model, {"test_events": 3, "head": "skip"}),
    "stream": (
        read_model,
        {
            "test_events": 2,
            "head": "skip",
            "backend": "Vivado",
            "io_type": "io_stream",
            "layers": {"reduce": {"pixels_per_cycle": 4}},
        },
    ),
    "per_pixel": (
        lambda _: per_pixel(),
        {
            "test_events": 3,
            "top": "pixelwise",
            "namespace": "net",
            "backend": "VitisUnified",
            "clock_uncertainty": "15%",
        },
    ),
}


def generated(folder: Path) -> dict[str, str]:
    """What the generator writes; kernels are copies, the manifest's version and hash change with every release."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    names = {p.relative_to(folder).as_posix(): p for p in files}
    return {
        n: p.read_text()
        for n, p in names.items()
        if "/kernels/" not in n and n != "manifest.json" and not (n.startswith("sim/") and n.endswith(".h"))
    }


@pytest.mark.parametrize("name", CASES)
def test_generated_text(name: str, small_model: Path, tmp_path: Path) -> None:
    make, config = CASES[name]
    to_hls(make(small_model), tmp_path / "firmware", config=config)
    found, kept = generated(tmp_path / "firmware"), GOLDEN / name
    if UPDATE:
        shutil.rmtree(kept, ignore_errors=True)
        for path, text in found.items():
            (kept / path).parent.mkdir(parents=True, exist_ok=True)
            (kept / path).write_text(text)
    assert kept.is_dir(), "write it with SPARSE_QONNX_UPDATE_GOLDEN=1"
    known = {p.relative_to(kept).as_posix(): p.read_text() for p in sorted(kept.rglob("*")) if p.is_file()}
    assert list(found) == list(known)
    for path, text in found.items():
        assert text == known[path], f"{name}/{path} has changed"


@pytest.mark.parametrize("name", CASES)
def test_same_bytes_again(name: str, small_model: Path, tmp_path: Path) -> None:
    make, config = CASES[name]
    for folder in ("a", "b"):
        to_hls(make(small_model), tmp_path / folder, config=config)
    a, b = (
        {p.relative_to(d): p.read_bytes() for p in d.rglob("*") if p.is_file()}
        for d in (tmp_path / "a", tmp_path / "b")
    )
    assert a == b
    to_hls(make(small_model), tmp_path / "b", config=config, force=True)
    assert a == {p.relative_to(tmp_path / "b"): p.read_bytes() for p in (tmp_path / "b").rglob("*") if p.is_file()}
