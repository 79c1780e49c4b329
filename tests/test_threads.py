"""Sessions under load: many threads, after a fork, batches of any size, calls without end."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from native import requires_library
from sparse_qonnx.hls import to_hls
from sparse_qonnx.runtime import InferenceSession

KERNELS = [pytest.param("native", marks=requires_library), "function"]
THREADS = 8


def events(count: int, seed: int = 0) -> np.ndarray:
    """Events of `small_model` `[count, 6, 8, 1]`, empty to full."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 64, (count, 6, 8, 1)) / 32
    return (x * (rng.random(x.shape) < rng.random((count, 1, 1, 1)))).astype(np.float32)


@pytest.fixture(scope="module", params=KERNELS)
def kernels(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("sessions", [1, THREADS])
@pytest.mark.parametrize("inner", [1, 2])
def test_eight_threads(small_model: Path, kernels: str, sessions: int, inner: int) -> None:
    """One session for all of them, or one of each thread's own, made there."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = inner
    shared = InferenceSession(small_model, options, kernels=kernels)
    batches = [events(count, seed) for seed, count in enumerate((0, 1, 2, 7, 64, 300))]
    wanted = [shared.run(None, {"image": x})[0] for x in batches]

    def work(thread: int) -> int:
        session = shared if sessions == 1 else InferenceSession(small_model, kernels=kernels)
        wrong = 0
        for round_ in range(24):
            which = (thread + round_) % len(batches)
            (y,) = session.run(None, {"image": batches[which]})
            wrong += not np.array_equal(y, wanted[which])
        return wrong

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(work, range(THREADS))) == 0


@pytest.mark.csim
def test_simulation_in_eight_threads(small_model: Path, tmp_path: Path) -> None:
    """The firmware's arrays are each call's own; who needs the library first compiles it, and the others wait."""
    project = to_hls(small_model, tmp_path / "fw")
    batches = [events(40, seed) for seed in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(project.predict, batches))
    assert len(list((tmp_path / "fw" / "build").iterdir())) == 1
    for x, y in zip(batches, found, strict=True):
        np.testing.assert_array_equal(y, project.predict(x))


@pytest.mark.parametrize("inner", [1, 4])
def test_fork_after_load(small_model: Path, kernels: str, inner: int) -> None:
    """A process forked from one that has run a session can go on with it, and make its own."""
    code = f"""
import os, sys
import numpy as np, onnxruntime
from sparse_qonnx.runtime import InferenceSession
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = {inner}
session = InferenceSession({str(small_model)!r}, options, kernels={kernels!r})
x = np.load(sys.argv[1])
(wanted,) = session.run(None, {{"image": x}})
child = os.fork()
if child == 0:
    (same,) = session.run(None, {{"image": x}})
    (own,) = InferenceSession({str(small_model)!r}, kernels={kernels!r}).run(None, {{"image": x}})
    os._exit(0 if np.array_equal(same, wanted) and np.array_equal(own, wanted) else 1)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
(again,) = session.run(None, {{"image": x}})
sys.exit(code if np.array_equal(again, wanted) else 2)
"""
    path = small_model.parent / f"fork-{kernels}-{inner}.npy"
    np.save(path, events(2000))
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_no_events(small_model: Path, kernels: str) -> None:
    session = InferenceSession(small_model, kernels=kernels)
    assert session.run(None, {"image": events(0)})[0].shape == (0, 3)
    assert session.run(None, {"image": events(3)})[0].shape == (3, 3)


@requires_library
def test_two_hundred_thousand_events_at_once(small_model: Path) -> None:
    x = events(1000).repeat(200, axis=0)
    session = InferenceSession(small_model)
    (y,) = session.run(None, {"image": x})
    (first,) = session.run(None, {"image": x[::200]})
    np.testing.assert_array_equal(y, first.repeat(200, axis=0))


@requires_library
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="a sanitizer keeps memory that was freed")
def test_memory_does_not_grow_with_calls(repository: Path, small_model: Path) -> None:
    """`make soak` does it a million times."""
    command = [sys.executable, repository / "tests" / "soak.py", small_model, "--calls", "20000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
