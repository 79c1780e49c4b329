"""Fixtures and settings every test file shares."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Before anything imports TensorFlow: quiet, on the CPU, and one thread per test process (they run in parallel).
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

# Reproducible in CI; `make fuzz` draws new examples each time, and many more of them.
settings.register_profile("default", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("mutation", max_examples=10, deadline=None, derandomize=True)
settings.register_profile("fuzz", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of trained models and tool reports that lies beside the repository; it is not part of it."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no folder ../shared beside the repository: the published models and reports are not here")
    return folder


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file with every operator of ours, made without Keras: 6x8 pixels, at most 5 kept, three classes."""
    from sparse_qonnx.files import write_model
    from sparse_qonnx.graph import GraphBuilder
    from sparse_qonnx.passes import finalize

    rng = np.random.default_rng(7)

    def weights(*shape: int) -> np.ndarray:
        return rng.integers(-7, 8, shape).astype(np.float32) / 8

    g = GraphBuilder("small")
    image = g.input("image", [6, 8, 1])
    x, coords = g.sparse("InputReduce", [image], ["reduce", "reduce.coords"], n_max_pixels=5, threshold=0.25)
    lane = [
        g.constant(f"conv.iq.{part}", np.full((1, 1, 1), bits, np.float32))
        for part, bits in (("k", 0), ("i", 0), ("f", 3))
    ]
    modes = {"rounding_mode": "RND", "overflow_mode": "WRAP"}
    g.layer = "conv"
    (x,) = g.sparse("FixedPointQuant", [x, *lane], ["conv.iq"], **modes)
    w, b = g.quantized_constant("conv.kernel", weights(2, 1, 3, 3)), g.quantized_constant("conv.bias", weights(2))
    (x,) = g.sparse("SparseConv", [x, coords, w, b], ["conv.linear"], kernel_shape=[3, 3])
    (x,) = g.node("Relu", [x], ["conv"])
    g.layer = "pool"
    pool = {"mode": "average", "kernel_shape": [2, 2], "spatial_shape": [6, 8]}
    x, coords = g.sparse("SparsePool", [x, coords], ["pool", "pool.coords"], **pool)
    g.layer = "flatten"
    (x,) = g.sparse("SparseToDense", [x, coords], ["flatten.dense"], spatial_shape=[3, 4])
    (x,) = g.node("Flatten", [x], ["flatten"])
    g.layer = "dense"
    (x,) = g.node("MatMul", [x, g.quantized_constant("dense.kernel", weights(24, 3))], ["dense.matmul"])
    (x,) = g.node("Add", [x, g.quantized_constant("dense.bias", weights(3))], ["dense"])
    g.layer = "softmax"
    (x,) = g.node("Softmax", [x], ["softmax"])
    g.output(x)
    path = tmp_path_factory.mktemp("small") / "small.onnx"
    write_model(finalize(g.build(), "ap_ufixed<6,1>"), path)
    return path


@pytest.fixture(scope="session")
def small_events() -> np.ndarray:
    """Twenty events for `small_model`, on its input grid, sparse, the first one empty."""
    rng = np.random.default_rng(11)
    values = rng.integers(0, 64, (20, 6, 8, 1)).astype(np.float32) / 32
    values[rng.random(values.shape) > 0.2] = 0
    values[0] = 0
    return values
