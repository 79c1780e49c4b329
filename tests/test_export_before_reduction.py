"""Layers between an input and its reduction: exact, with firmware, and the precision of the input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import KERNELS
from keras_models import assert_exact, randomize
from sparse_qonnx.passes.infer_grids import input_types
from sparse_qonnx.runtime import run_tensors

pytestmark = pytest.mark.keras
keras = pytest.importorskip("keras")
L, ops = keras.layers, keras.ops


def with_reduction(before: Callable[[Any], Any], shape: tuple[int, ...]) -> Any:
    """Input, what comes before, the reduction, a convolution, a dense layer."""
    from hgq.layers import QDense
    from sparsepixels.layers import InputReduce, QConv2DSparse

    source = keras.Input(shape, name="x_in")
    reduce = InputReduce(n=6, learn_n=False, learn_threshold=False, threshold=0.25, name="reduce")
    x, mask = reduce(before(source))
    x = QConv2DSparse(2, 3, padding="same", name="conv")([x, mask])
    model = keras.Model(source, QDense(3, name="dense")(L.Flatten()(x)), name="model")
    randomize(model, 1)
    return model


def on_grid(shape: tuple[int, ...], frac: int = 4, seed: int = 0) -> Any:
    """Events from empty to full."""
    rng = np.random.default_rng(seed)
    density = np.linspace(0, 1, 12).reshape(-1, *(1,) * len(shape)) ** 2
    return (rng.integers(-40, 60, (12, *shape)) / 2**frac * (rng.random((12, *shape)) < density)).astype(np.float32)


def conv_before(x: Any) -> Any:
    from hgq.layers import QConv2D

    return QConv2D(2, 3, padding="same", name="first")(x)


BEFORE: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "Reshape": (lambda x: L.Reshape((6, 5, 2), name="image")(x), (60,)),
    "ops.reshape": (lambda x: ops.reshape(x, (-1, 6, 5, 2)), (60,)),
    "channel added": (lambda x: L.Reshape((6, 5, 1))(x), (6, 5)),
    "expand_dims": (lambda x: ops.expand_dims(x, -1), (6, 5)),
    "Permute": (lambda x: L.Permute((2, 3, 1), name="last")(x), (2, 6, 5)),
    "Cropping2D": (lambda x: L.Cropping2D(((1, 0), (2, 1)), name="crop")(x), (7, 8, 2)),
    "ZeroPadding2D": (lambda x: L.ZeroPadding2D((1, 2), name="pad")(x), (5, 4, 2)),
    "padded with what passes": (lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 1), (0, 0)), constant_values=0.5), (5, 4, 1)),
    "flip": (lambda x: ops.flip(x, 1), (5, 4, 2)),
    "one channel": (lambda x: x[..., 1:2], (5, 4, 3)),
    "UpSampling2D": (lambda x: L.UpSampling2D(2)(x), (3, 3, 1)),
    "Rescaling": (lambda x: L.Rescaling(1 / 4, name="scale")(x), (6, 5, 2)),
    "Rescaling, offset": (lambda x: L.Rescaling(0.5, offset=-0.25, name="scale")(x), (6, 5, 2)),
    "ReLU": (lambda x: L.ReLU(name="relu")(x), (6, 5, 2)),
    "QConv2D": (conv_before, (6, 5, 1)),
    "several": (lambda x: L.Rescaling(0.5)(L.ZeroPadding2D(1)(L.Permute((2, 1, 3))(L.Reshape((6, 5, 2))(x)))), (60,)),
}


@pytest.mark.parametrize("case", BEFORE)
def test_layers_before_the_reduction_are_exact(case: str) -> None:
    before, shape = BEFORE[case]
    x = on_grid(shape)
    proto = assert_exact(with_reduction(before, shape), x, qonnx=True)
    names = ["reduce", proto.graph.output[0].name]
    found = [run_tensors(proto, {"x_in": x}, names, kernels=kernels) for kernels in KERNELS]
    assert found[0]["reduce"].any()
    for name in names:
        assert all(np.array_equal(found[0][name], other[name]) for other in found)


def test_two_reductions_one_behind_the_other() -> None:
    from sparsepixels.layers import InputReduce

    def twice(x: Any) -> Any:
        return InputReduce(n=9, learn_n=False, learn_threshold=False, name="earlier")(x)[0]

    assert_exact(with_reduction(twice, (6, 5, 2)), on_grid((6, 5, 2)))


@pytest.mark.csim
@pytest.mark.parametrize(
    ("case", "io_type"), [("several", "io_parallel"), ("several", "io_stream"), ("channel added", "io_stream")]
)
def test_firmware_of_layers_before_the_reduction(
    case: str, io_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sparse_qonnx.export import export
    from sparse_qonnx.hls import to_hls

    monkeypatch.setenv("CXXFLAGS", "-O0")
    before, shape = BEFORE[case]
    x = on_grid(shape)
    proto = export(with_reduction(before, shape), None, "ap_fixed<10,6>")
    project = to_hls(proto, tmp_path / "firmware", config={"io_type": io_type})
    wanted = run_tensors(proto, {"x_in": x}, [proto.graph.output[0].name])
    assert np.array_equal(project.predict(x), wanted[proto.graph.output[0].name])


@pytest.mark.parametrize(
    ("case", "precision"),
    [
        ("Reshape", "ap_ufixed<7,3>"),
        ("Permute", "ap_ufixed<7,3>"),
        ("ZeroPadding2D", "ap_ufixed<7,3>"),
        ("Rescaling", "ap_ufixed<7,5>"),
        ("several", "ap_ufixed<7,4>"),
        ("Rescaling, offset", None),
        ("ReLU", None),
    ],
)
def test_the_input_precision_is_that_of_the_quantizers_behind(case: str, precision: str | None) -> None:
    from hgq.quantizer import Quantizer
    from hgq.quantizer.config import QuantizerConfig

    from sparse_qonnx.export import export

    before, shape = BEFORE[case]
    form = QuantizerConfig("kif", "datalane", k0=False, i0=3, f0=4, heterogeneous_axis=(), trainable=False)
    model = with_reduction(lambda x: Quantizer(form, name="q")(before(x)), shape)
    quantizer = model.get_layer("q").quantizer
    for part, value in (("_k", 0), ("_i", 3), ("_f", 4)):
        getattr(quantizer, part).assign(np.full(getattr(quantizer, part).shape, value))
    stated = input_types(export(model))
    assert stated.get("x_in") is None if precision is None else str(stated["x_in"]) == precision
