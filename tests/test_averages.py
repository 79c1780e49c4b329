"""Averages by any number: in every place they can stand, what Keras computes, exactly, in every implementation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparse_qonnx as sq

pytestmark = pytest.mark.keras
keras = pytest.importorskip("keras")

SIDE = 12
Build = Callable[[Any, Any], Any]
"""The rest of a network behind a sparse map `[12, 12, 2]` and its mask."""


def quantized(x: Any, name: str, f: int = 4) -> Any:
    """A quantizer without a sign, ties to even, as behind the activations of usual networks."""
    from hgq.quantizer import Quantizer
    from hgq.quantizer.config import QuantizerConfig

    form = QuantizerConfig("kif", "datalane", k0=False, i0=3, f0=f, overflow_mode="SAT", round_mode="RND_CONV",
                           homogeneous_axis=None, heterogeneous_axis=())  # fmt: skip
    return Quantizer(form, name=name)(x)


def dense(x: Any, name: str = "dense", units: int = 4) -> Any:
    """Dense, ReLU, quantizer: no quantizer in front of it."""
    from hgq.layers import QDense

    return quantized(keras.layers.ReLU(name=f"{name}_relu")(QDense(units, name=name)(x)), f"{name}_q")


def flat(x: Any) -> Any:
    return keras.layers.Flatten()(x)


def sparse_average(window: Any) -> Build:
    from sparsepixels.layers import AveragePooling2DSparse

    return lambda x, mask: dense(flat(AveragePooling2DSparse(window, name="average")([x, mask])[0]))


def image_average(cls: str, *arguments: Any, shape: tuple[int, ...] = (SIDE, SIDE, 2), **settings: Any) -> Build:
    def build(x: Any, mask: Any) -> Any:
        layer = getattr(keras.layers, cls)(*arguments, name="average", **settings)
        return dense(flat(layer(keras.layers.Reshape(shape)(x))))

    return build


def twice(x: Any, mask: Any) -> Any:
    from sparsepixels.layers import AveragePooling2DSparse

    x, mask = AveragePooling2DSparse(3, name="average")([x, mask])
    return dense(keras.layers.GlobalAveragePooling2D(name="again")(x))  # 4 x 4: a power of two


def three_times(x: Any, mask: Any) -> Any:
    image = keras.layers.AveragePooling2D(3, name="average")(keras.layers.Reshape((SIDE, SIDE, 2))(x))
    image = keras.layers.AveragePooling2D((2, 3), padding="same", name="again")(image)
    return dense(keras.layers.GlobalAveragePooling2D(name="last")(image))


def convolved(x: Any, mask: Any) -> Any:
    from sparsepixels.layers import AveragePooling2DSparse, QConv2DSparse

    x, mask = AveragePooling2DSparse((3, 2), name="average")([x, mask])
    x = QConv2DSparse(3, 3, padding="same", name="conv")([x, mask])
    return dense(flat(quantized(keras.layers.LeakyReLU(negative_slope=0.25, name="leaky")(x), "conv_q")))


def branches(x: Any, mask: Any) -> Any:
    from sparsepixels.layers import AveragePooling2DSparse, MaxPooling2DSparse, QConv2DSparse

    a, mask_a = AveragePooling2DSparse(3, name="average")([x, mask])
    b, _ = MaxPooling2DSparse(3, name="largest")([x, mask])
    total = keras.layers.Add(name="total")([a, b])
    both = keras.layers.Concatenate(name="both")([total, keras.layers.Maximum(name="larger")([a, b])])
    conv = QConv2DSparse(2, 1, padding="same", name="conv")([both, mask_a])
    return dense(flat(keras.layers.Subtract(name="less")([conv, a])))


def of_three(x: Any, mask: Any) -> Any:
    from hgq.layers import QDense

    sides = [QDense(3, name=name)(flat(x)) for name in "abc"]
    return dense(keras.layers.Average(name="average")(sides))


def clipped(x: Any, mask: Any) -> Any:
    from sparsepixels.layers import AveragePooling2DSparse

    x, _ = AveragePooling2DSparse(5, name="average")([x, mask])
    x = keras.layers.ReLU(threshold=0.25, name="above")(keras.layers.ReLU(max_value=1.5, name="bounded")(x))
    return dense(flat(x))


def normalized(x: Any, mask: Any) -> Any:
    from hgq.layers import QBatchNormalization, QEinsumDense

    x = keras.layers.AveragePooling1D(6, name="average")(keras.layers.Reshape((SIDE * SIDE, 2))(x))
    x = QEinsumDense("bij,jk->bik", (SIDE * SIDE // 6, 3), bias_axes="k", name="einsum")(x)
    x = QBatchNormalization(name="norm")(keras.layers.Permute((2, 1), name="turned")(x))
    return quantized(x, "last_q")


def to_softmax(x: Any, mask: Any) -> Any:
    from hgq.layers import QDense
    from sparsepixels.layers import AveragePooling2DSparse

    x = QDense(3, name="logits")(flat(AveragePooling2DSparse(4, name="pool")(AveragePooling2DSparse(3)([x, mask]))[0]))
    return keras.layers.Softmax(name="softmax")(x)


CASES: dict[str, Callable[[], Build]] = {
    "sparse 7 x 7": lambda: sparse_average(7),
    "sparse 5 x 5": lambda: sparse_average(5),
    "sparse 3 x 2": lambda: sparse_average((3, 2)),
    "sparse 6 x 6": lambda: sparse_average(6),
    "dense 5 x 5, partial windows dropped": lambda: image_average("AveragePooling2D", 5),
    "dense 5 x 5, same": lambda: image_average("AveragePooling2D", 5, padding="same"),
    "dense 3 x 4, overlapping, same": lambda: image_average("AveragePooling2D", (3, 4), strides=2, padding="same"),
    "dense 3, one dimension, same": lambda: image_average(
        "AveragePooling1D", 5, padding="same", shape=(SIDE * SIDE, 2)
    ),
    "dense, three dimensions, same": lambda: image_average(
        "AveragePooling3D", (3, 2, 3), padding="same", shape=(SIDE, 4, 3, 2)
    ),
    "global": lambda: image_average("GlobalAveragePooling2D"),
    "twice": lambda: twice,
    "three times": lambda: three_times,
    "before a sparse convolution": lambda: convolved,
    "in branches": lambda: branches,
    "of three layers": lambda: of_three,
    "between limits": lambda: clipped,
    "einsum, normalization": lambda: normalized,
    "to a softmax": lambda: to_softmax,
}


def network(build: Build, seed: int = 1) -> Any:
    """Reduction, convolution, ReLU, quantizer, then what is under test; no layer has quantizers of its data."""
    from hgq.config import LayerConfigScope, QuantizerConfigScope
    from sparsepixels.layers import InputReduce, QConv2DSparse

    keras.utils.set_random_seed(seed)
    formats = {"k0": True, "i0": 1, "f0": 4, "round_mode": "RND_CONV", "overflow_mode": "SAT"}
    with (
        QuantizerConfigScope(place=("weight", "bias"), default_q_type="kif", **formats),
        LayerConfigScope(enable_ebops=False, enable_iq=False),
    ):
        image = keras.Input((SIDE, SIDE, 1), name="image")
        x, mask = InputReduce(n=10, threshold=0.0, learn_n=False, learn_threshold=False, name="reduce")(image)
        x = QConv2DSparse(2, 3, padding="same", name="first")([x, mask])
        x = quantized(keras.layers.ReLU(name="first_relu")(x), "first_q")
        model = keras.Model(image, build(x, mask))
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        for variable in (getattr(layer, name, None) for name in ("_kernel", "kernel", "sparse_bias", "bias")):
            if variable is not None and hasattr(variable, "assign"):
                variable.assign(rng.normal(0, 0.5, variable.shape))
    return model


def events(count: int = 40) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.integers(1, 32, (count, SIDE, SIDE, 1)) / 16 * (rng.random((count, SIDE, SIDE, 1)) < 0.08)
    return x.astype(np.float32)


IN_FIRMWARE = ("sparse 7 x 7", "dense 5 x 5, same", "three times", "in branches", "between limits", "of three layers")
"""Compiling takes its time; the others compile in the random networks."""


@pytest.mark.csim
@pytest.mark.parametrize("case", CASES)
def test_average(case: str, tmp_path: Path) -> None:
    model = network(CASES[case]())
    proto = sq.export(model, input_precision="ap_ufixed<5,1>")
    project = sq.to_hls(proto, tmp_path / "firmware")
    report = sq.verify(proto, events(), model, project if case in IN_FIRMWARE else None)
    assert report.ok, str(report)
    if case != "to a softmax":
        compared = {row.other for row in report.table if row.tensor == "average"}
        assert compared >= {"NumPy", "qonnx", "Keras (float64)"} | ({"C-simulation"} if case in IN_FIRMWARE else set())
        last = [row for row in report.table if row.tensor == model.output_names[0]]
        assert all(row.tolerance == 0 for row in last) and len(last) >= 3


def foreign(op_type: str, **attributes: Any) -> Any:
    """A graph as another tool writes it: a channels-first image, its average, a product, a ReLU, a quantizer."""
    from sparse_qonnx.graph import GraphBuilder

    graph = GraphBuilder("foreign")
    (x,) = graph.node(op_type, [graph.input("x", (2, 7, 9))], ["average"], **attributes)
    (x,) = graph.node("Flatten", [x], ["flat"], axis=1)
    weights = np.random.default_rng(1).integers(-8, 8, (graph.shape(x)[1], 3)) / 8
    (x,) = graph.node("MatMul", [x, graph.quantized_constant("w", weights.astype(np.float32))], ["sums"])
    (x,) = graph.node("Relu", [x], ["relu"])
    formats = [graph.constant(f"q.{k}", np.float32(v)) for k, v in (("k", 0), ("i", 3), ("f", 4))]
    modes = {"rounding_mode": "RND_CONV", "overflow_mode": "SAT"}
    graph.output(graph.sparse("FixedPointQuant", [x, *formats], ["q"], **modes)[0])
    return graph.build()


@pytest.mark.parametrize(
    ("op_type", "attributes"),
    [
        ("GlobalAveragePool", {}),
        ("AveragePool", {"kernel_shape": [3, 5], "strides": [2, 2], "pads": [1, 2, 1, 2]}),
        ("AveragePool", {"kernel_shape": [3, 2], "auto_pad": "SAME_LOWER"}),
        ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 1], "count_include_pad": 1}),
        ("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 3], "ceil_mode": 1}),
        ("AveragePool", {"kernel_shape": [2, 2], "dilations": [2, 3]}),
    ],
)
def test_averages_of_other_tools(op_type: str, attributes: dict[str, Any]) -> None:
    """The averages are those of onnxruntime; behind them one division decides."""
    from sparse_qonnx.passes import finalize
    from sparse_qonnx.passes.attach_functions import attach_functions
    from sparse_qonnx.runtime import run_tensors

    given = attach_functions(foreign(op_type, **attributes))
    made = finalize(given, "ap_fixed<6,3>")
    assert [node.op_type for node in made.graph.node].count("Div") == 1
    x = (np.random.default_rng(2).integers(-32, 32, (300, 2, 7, 9)) / 8).astype(np.float32)
    found = run_tensors(made, {"x": x}, ["average", "q", "relu"])
    wanted = run_tensors(given, {"x": x}, ["average"])["average"]
    assert np.allclose(found["average"], wanted, rtol=0, atol=1e-5)
    assert np.array_equal(found["q"], np.minimum(np.round(found["relu"] * 16) / 16, 8 - 1 / 16))
