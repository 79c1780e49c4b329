"""The networks that are measured: the published jet tagger where its weights are, and one of our own of any size."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from sparse_qonnx.graph import QUANT_DOMAIN, GraphBuilder
from sparse_qonnx.passes import finalize

Array = NDArray[Any]
SHARED = Path(__file__).resolve().parents[2] / "shared" / "paper"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


@dataclass
class Subject:
    """A Keras model, and events for it `[B, H, W, 1]`."""

    name: str
    keras: Any
    events: Array


def main_subject() -> Subject:
    """The jet tagger 8b l with its real events, else a network of the size of a neutrino detector."""
    if not (SHARED / "paper_models.py").is_file():
        return neutrino(63)
    paper = _paper()
    return Subject("jet tagger 8b l, 56 x 56, N = 20", paper.build("jet", "8b", "l"), tiled(paper.load("jet")[0], 1000))


def published_models(folder: Path) -> dict[str, Path]:
    """The jet and digit taggers of 8 bits in all sizes, exported into a folder."""
    from sparse_qonnx import export

    if not (SHARED / "paper_models.py").is_file():
        raise SystemExit(f"{SHARED} does not hold the published models: name exported models of your own")
    paper, models = _paper(), {}
    for dataset in ("jet", "sparsemnist"):
        for size in "tsml":
            models[f"{dataset}_{size}"] = folder / f"{dataset}_{size}.onnx"
            export(paper.build(dataset, "8b", size), models[f"{dataset}_{size}"], input_precision="ap_ufixed<18,1>")
    return models


def _paper() -> Any:
    """Builds the published models from their weights."""
    spec = importlib.util.spec_from_file_location("paper_models", SHARED / "paper_models.py")
    assert spec is not None and spec.loader is not None
    paper = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(paper)
    return paper


def tiled(events: Array, count: int) -> Array:
    return np.tile(events, (-(-count // len(events)), 1, 1, 1))[:count].astype(np.float32)


def images(side: int, pixels: int, count: int = 1000) -> Array:
    """Clusters on an empty image: a random walk of `pixels` steps an event."""
    rng = np.random.default_rng(side)
    x = np.zeros((count, side, side, 1), np.float32)
    for event in x:
        walk = np.cumsum(rng.integers(-2, 3, (pixels, 2)), axis=0) + rng.integers(0, side, 2)
        event[walk[:, 0] % side, walk[:, 1] % side, 0] = rng.integers(1, 64, pixels) / 32
    return x


class _Layers:
    """Layers with uniform formats: weights of 8 bits, activations of 8 bits without a sign."""

    def __init__(self) -> None:
        from hgq.quantizer.config import QuantizerConfig

        kept = {"overflow_mode": "SAT", "round_mode": "RND_CONV", "homogeneous_axis": None, "heterogeneous_axis": ()}
        self.weights = {
            key: QuantizerConfig("kif", place, k0=True, i0=2, f0=5, **kept)
            for key, place in (("kq_conf", "weight"), ("bq_conf", "bias"))
        }
        self.activation = QuantizerConfig("kif", "datalane", k0=False, i0=3, f0=5, **kept)

    def named(self, name: str) -> dict[str, Any]:
        """Arguments of a layer with weights."""
        return {"name": name, **self.weights, "kernel_initializer": "he_normal"}

    def relu(self, x: Any, name: str) -> Any:
        import keras
        from hgq.quantizer import Quantizer

        return Quantizer(self.activation, name=f"{name}_q")(keras.layers.ReLU(name=name)(x))


def neutrino(side: int, slots: int = 20, count: int = 1000) -> Subject:
    """Two convolutions of 7 x 7, pooling, two dense layers; random weights."""
    import keras
    from hgq.config import LayerConfigScope, QuantizerConfigScope
    from hgq.layers import QDense
    from sparsepixels.layers import AveragePooling2DSparse, InputReduce, QConv2DSparse

    keras.utils.set_random_seed(1)
    with QuantizerConfigScope(place="all", overflow_mode="SAT"), LayerConfigScope(enable_ebops=False, enable_iq=False):
        layers, inputs = _Layers(), keras.Input((side, side, 1), name="image")
        reduce = InputReduce(n=slots, threshold=0.0, learn_n=False, learn_threshold=False, name="reduce")
        x, mask = reduce(inputs)
        for n, filters in ((1, 3), (2, 1)):
            conv = QConv2DSparse(filters=filters, kernel_size=7, padding="same", **layers.named(f"conv{n}"))
            x = layers.relu(conv([x, mask]), f"relu{n}")
        x, mask = AveragePooling2DSparse(4, name="pool")([x, mask])
        x = keras.layers.Flatten(name="flatten")(x)
        x = layers.relu(QDense(20, **layers.named("dense1"))(x), "relu3")
        x = keras.layers.Softmax(name="softmax")(QDense(3, **layers.named("dense2"))(x))
    name = f"neutrino size, {side} x {side}, N = {slots}"
    model = keras.Model(inputs, x)
    for conv in ("conv1", "conv2"):
        bias = model.get_layer(conv).sparse_bias
        bias.assign(np.full(bias.shape, 0.25))
    return Subject(name, model, images(side, 2 * slots, count))


def wide(side: int, units: int, slots: int = 20) -> Subject:
    """A convolution of 3 x 3, and a dense layer over all pixels; random weights."""
    import keras
    from hgq.config import LayerConfigScope, QuantizerConfigScope
    from hgq.layers import QDense
    from sparsepixels.layers import InputReduce, QConv2DSparse

    keras.utils.set_random_seed(1)
    with QuantizerConfigScope(place="all", overflow_mode="SAT"), LayerConfigScope(enable_ebops=False, enable_iq=False):
        layers, inputs = _Layers(), keras.Input((side, side, 1), name="image")
        reduce = InputReduce(n=slots, threshold=0.0, learn_n=False, learn_threshold=False, name="reduce")
        x, mask = reduce(inputs)
        conv = QConv2DSparse(filters=1, kernel_size=3, padding="same", **layers.named("conv"))
        x = keras.layers.Flatten(name="flatten")(layers.relu(conv([x, mask]), "relu"))
        x = QDense(units, **layers.named("dense"))(x)
    return Subject(
        f"{side * side * units} weights, {side} x {side}", keras.Model(inputs, x), images(side, 2 * slots, 100)
    )


def graph(side: int, slots: int, channels: int = 3) -> ModelProto:
    """The same network made without Keras, in a moment, for any size."""
    rng = np.random.default_rng(3)
    g = GraphBuilder("bench")

    def weights(name: str, *shape: int) -> str:
        return g.quantized_constant(name, rng.integers(-15, 16, shape).astype(np.float32) / 16)

    def relu(x: str, name: str) -> str:
        (x,) = g.node("Relu", [x], [name])
        numbers = {"scale": 2.0**-5, "zero_point": 0.0, "bits": 8.0}
        parts = [g.constant(f"{name}.{k}", np.array(v, np.float32)) for k, v in numbers.items()]
        modes = {"signed": 0, "narrow": 0, "rounding_mode": "ROUND"}
        return g.node("Quant", [x, *parts], [f"{name}.q"], domain=QUANT_DOMAIN, **modes)[0]

    x = g.input("image", [side, side, 1])
    x, coords = g.sparse("InputReduce", [x], ["reduce", "reduce.coords"], n_max_pixels=slots, threshold=0.0)
    before = 1
    for n, filters in ((1, channels), (2, 1)):
        inputs = [x, coords, weights(f"w{n}", filters, before, 7, 7), weights(f"b{n}", filters)]
        (x,) = g.sparse("SparseConv", inputs, [f"conv{n}"], kernel_shape=[7, 7])
        x, before = relu(x, f"relu{n}"), filters
    pool = {"mode": "average", "kernel_shape": [4, 4], "spatial_shape": [side, side]}
    x, coords = g.sparse("SparsePool", [x, coords], ["pool", "pool.coords"], **pool)
    (x,) = g.sparse("SparseToDense", [x, coords], ["image_again"], spatial_shape=[side // 4, side // 4])
    (x,) = g.node("Flatten", [x], ["flat"])
    (x,) = g.node("MatMul", [x, weights("w3", (side // 4) ** 2, 20)], ["dense.sums"])
    (x,) = g.node("Add", [x, weights("b3", 20)], ["dense"])
    g.output(relu(x, "relu3"))
    return finalize(g.build(), "ap_ufixed<8,2>")
