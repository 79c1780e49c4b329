"""Networks written by hand, without Keras: `sparse_qonnx.Network` and the two examples that use it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

import sparse_qonnx as sq
from harness import KERNELS, same
from sparse_qonnx.errors import ConfigurationError, ModelFileError, PrecisionError
from sparse_qonnx.graph import read_metadata
from sparse_qonnx.passes.infer_grids import infer_grids
from sparse_qonnx.reference import run_reference
from sparse_qonnx.runtime import run_qonnx, run_tensors

Array = NDArray[Any]


def example(repository: Path, name: str) -> ModuleType:
    """An example as a module."""
    path = repository / "examples" / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def grid(rng: np.random.Generator, *shape: int, bits: int = 4) -> Array:
    return (rng.integers(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1), shape) / 2 ** (bits - 1)).astype(np.float32)


def every_method() -> sq.Network:
    rng = np.random.default_rng(3)
    net = sq.Network("everything")
    image = net.input("image", (7, 9, 2))
    x = net.input_reduce(image, 6, 0.25)
    x = net.fixed_point_quant(x, 0, rng.integers(0, 2, (7, 9, 2)), rng.integers(-1, 4, (7, 9, 2)), "TRN", "WRAP")
    x = net.sparse_conv(x, grid(rng, 4, 1, 3, 2), grid(rng, 4), dilations=(1, 2), group=2, name="conv")
    x = net.quant(net.relu(x), bits=6, fractional_bits=3, signed=False, rounding_mode="HALF_UP")
    x = net.add(x, net.sparse_conv(x, grid(rng, 4, 4, 1, 1)))
    x = net.sparse_pool(x, (2, 3), "max")
    y = net.dense(net.flatten(x), grid(rng, 36, 3), grid(rng, 3))
    y = net.fixed_point_quant(y, [1, 0, 1], [3, 4, 2], [2, 1, 3], "RND", "SAT")
    net.output(net.add(y, net.relu(net.dense(y, grid(rng, 3, 3), name="again"))))
    return net


def test_every_method_everywhere() -> None:
    """NumPy = function bodies = native kernels = qonnx, and the types the values promise."""
    net = every_method()
    model = net.build("ap_ufixed<6,2>")
    onnx.checker.check_model(model, full_check=True)
    x = (np.random.default_rng(0).integers(0, 256, (30, 7, 9, 2)) / 64 * 4).astype(np.float32) % 4
    x = np.round(x * 16) / 16 * (np.random.default_rng(1).random((30, 7, 9, 1)) < 0.2)
    x = x.astype(np.float32)
    (name,) = (v.name for v in model.graph.output)
    want = run_reference(model, {"image": x})[name]
    assert want.any()
    assert same(run_qonnx(model, {"image": x})[name], want)
    for kernels in KERNELS:
        assert same(run_tensors(model, {"image": x}, kernels=kernels)[name], want), kernels
    assert read_metadata(model)["sparse_qonnx.input_precision.image"] == "ap_ufixed<6,2>"


def test_scalar_constants_of_other_operators() -> None:
    net = sq.Network()
    x = net.dense(net.input("x", (4,)), grid(np.random.default_rng(0), 4, 3), name="dense")
    limits = [net.constant(name, np.float32(value)) for name, value in (("low", -0.5), ("high", 0.75))]
    net.output(net.op("Clip", [x, *limits], name="clip"))
    model = net.build("ap_fixed<6,2>")
    values = (np.random.default_rng(1).integers(-32, 32, (20, 4)) / 16).astype(np.float32)
    want = run_reference(model, {"x": values})["clip"]
    assert want.min() == -0.5 and want.max() == 0.75
    assert same(run_tensors(model, {"x": values})["clip"], want)
    assert infer_grids(model).grids["clip"].describe() == "ap_fixed<8,1>"


def test_results_are_typed_onnx_ir_values() -> None:
    net = sq.Network()
    image = net.input("image", (8, 8, 3))
    x = net.sparse_pool(net.input_reduce(image, 5), (3, 2))
    assert isinstance(image, ir.Value) and image.shape == ("batch", 8, 8, 3)
    assert (x.height, x.width) == (2, 4)
    assert x.features.shape == ("batch", 5, 3) and x.features.dtype == ir.DataType.FLOAT
    assert x.coords.shape == ("batch", 5, 2) and x.coords.dtype == ir.DataType.INT64
    y = net.op("Sigmoid", [net.flatten(x)])
    assert y.shape == ("batch", 24)
    net.output(y)
    assert [n.op_type for n in net.to_ir().graph] == [
        "InputReduce",
        "SparsePool",
        "SparseToDense",
        "Flatten",
        "Sigmoid",
    ]


def test_the_same_calls_give_the_same_bytes() -> None:
    first, second = (every_method().build("ap_ufixed<6,2>").SerializeToString(deterministic=True) for _ in range(2))
    assert first == second


def test_mistakes_are_named() -> None:
    net = sq.Network("a")
    image = net.input("image", (8, 8, 1))
    x = net.input_reduce(image, 5, name="reduce")
    with pytest.raises(ConfigurationError, match=r"name 'reduce': is used twice"):
        net.relu(image, name="reduce")
    with pytest.raises(ConfigurationError, match=r"value 'image': is not of the network 'b'"):
        sq.Network("b").relu(image)
    with pytest.raises(ConfigurationError, match=r"different pixels"):
        net.add(x, net.sparse_pool(x, (1, 1)))
    with pytest.raises(ConfigurationError, match=r"rounding_mode='NEAREST'.*HALF_UP"):
        net.quant(image, bits=4, fractional_bits=2, signed=True, rounding_mode="NEAREST")
    with pytest.raises(PrecisionError, match=r"weights 'dense.kernel': need 31 bits"):
        net.dense(image, np.array([[1.0, 2.0**-30]]), name="dense")
    with pytest.raises(ModelFileError, match=r"node 'wrong' \(MatMul\): does not fit its inputs"):
        net.dense(net.flatten(x), np.ones((3, 2)), name="wrong")


SIZES = {"t": 8, "s": 12, "m": 16, "l": 20}


@pytest.mark.parametrize("size", SIZES)
def test_numpy_jet_gives_the_published_predictions(repository: Path, shared: Path, tmp_path: Path, size: str) -> None:
    weights = shared / "paper" / "weights" / f"jet_sparse_{size}-8b.h5"
    if not weights.is_file():
        pytest.skip("no published weights in ../shared/paper")
    pytest.importorskip("h5py")
    jet = example(repository, "numpy_jet/jet.py")
    jet.build(jet.read_weights(weights), SIZES[size]).save(tmp_path / "jet.onnx")
    with np.load(shared / "paper" / "jet.npz") as data:
        x, want = data["x"], data[f"y_sparse_{size}_8b"]
    for kernels in KERNELS:
        got = run_tensors(tmp_path / "jet.onnx", {"x_in": x}, kernels=kernels)["softmax"]
        assert np.abs(got - want).max() <= 5e-6
        assert (got.argmax(axis=1) == want.argmax(axis=1)).all()


def test_nothing_of_a_framework_is_imported(repository: Path, tmp_path: Path) -> None:
    """The example as a program, with every framework blocked."""
    rng = np.random.default_rng(0)
    shapes = {"conv1": (9, 9, 1, 3), "conv2": (9, 9, 3, 1), "dense1": (196, 20), "dense2": (20, 5)}
    arrays = {f"{k}.kernel": rng.normal(size=s).astype(np.float32) for k, s in shapes.items()}
    arrays |= {f"{k}.bias": rng.normal(size=s[-1]).astype(np.float32) for k, s in shapes.items()}
    np.savez(tmp_path / "weights.npz", **arrays)
    blocked = ("keras", "tensorflow", "hgq", "sparsepixels", "torch", "jax", "tf2onnx")
    code = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({blocked!r}))\n"
        f"sys.argv = ['jet', {str(tmp_path / 'weights.npz')!r}, '-o', {str(tmp_path / 'jet.onnx')!r}]\n"
        f"runpy.run_path({str(repository / 'examples/numpy_jet/jet.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "written" in done.stdout, done.stderr
    assert (tmp_path / "jet.onnx").is_file()


def dense_classifier(state: dict[str, Array], x: Array, n: int, threshold: float) -> Array:
    """The forward pass that examples/pytorch states, on images `[B, 1, H, W]` in float64, tap by tap."""
    batch, _, height, width = x.shape
    flat = x.reshape(batch, -1) > threshold
    active = (flat & (np.cumsum(flat, axis=1) <= n)).reshape(x.shape)
    weight = state["conv.weight"].astype(np.float64)
    padded = np.pad(x * active, ((0, 0), (0, 0), (2, 2), (2, 2)))
    y = np.zeros((batch, len(weight), height, width))
    for i, j in np.ndindex(5, 5):
        y += weight[:, 0, i, j, None, None] * padded[:, :, i : i + height, j : j + width]
    y = np.where(y != 0, y + state["conv.bias"][:, None, None], y) * active
    y = np.clip(np.round(np.maximum(y, 0) * 16), 0, 255) / 16
    y = y.reshape(batch, len(weight), height // 4, 4, width // 4, 4).mean(axis=(3, 5)).reshape(batch, -1)
    return y @ state["fc.weight"].T.astype(np.float64) + state["fc.bias"]


@pytest.fixture
def state() -> dict[str, Array]:
    rng = np.random.default_rng(5)
    shapes = {"conv.weight": (4, 1, 5, 5), "conv.bias": (4,), "fc.weight": (3, 4 * 3 * 2), "fc.bias": (3,)}
    return {name: grid(rng, *shape, bits=8) for name, shape in shapes.items()}


@pytest.fixture
def images() -> Array:
    rng = np.random.default_rng(6)
    values = rng.integers(0, 256, (25, 1, 12, 8)) / 256 * (rng.random((25, 1, 12, 8)) < 0.2)
    values[0] = 0
    return values.astype(np.float32)


def test_a_state_dict_becomes_the_same_network(repository: Path, state: dict[str, Array], images: Array) -> None:
    model = example(repository, "pytorch/from_state_dict.py").build(state, (12, 8), 10, 0.125).build("ap_ufixed<8,0>")
    want = dense_classifier(state, images, 10, 0.125)
    for kernels in KERNELS:
        got = run_tensors(model, {"image": images.transpose(0, 2, 3, 1)}, kernels=kernels)["fc"]
        assert np.array_equal(got, want.astype(np.float32)), kernels


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "pt"])
def test_state_dicts_are_read(repository: Path, tmp_path: Path, state: dict[str, Array], suffix: str) -> None:
    path = tmp_path / f"weights.{suffix}"
    if suffix == "npz":
        np.savez(path, **state)
    elif suffix == "safetensors":
        pytest.importorskip("safetensors.numpy").save_file(state, path)
    else:
        torch = pytest.importorskip("torch")
        torch.save({name: torch.from_numpy(values) for name, values in state.items()}, path)
    module = example(repository, "pytorch/from_state_dict.py")
    models = [module.build(s, (12, 8), 10).build("ap_ufixed<8,0>") for s in (module.read_state_dict(path), state)]
    assert models[0] == models[1]
