"""Graphs of layers: branches, several inputs and outputs, nested and shared models, and HGQ2's dense layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keras_models import assert_exact, events, randomize, sparse_model
from sparse_qonnx.errors import UnsupportedLayerError

pytestmark = pytest.mark.keras
keras = pytest.importorskip("keras")
L = keras.layers


def conv(filters: int, name: str, **arguments: Any) -> Any:
    from sparsepixels.layers import QConv2DSparse

    return QConv2DSparse(filters, 3, padding="same", name=name, **arguments)


def hgq(cls: str, /, *args: Any, **kwargs: Any) -> Any:
    import hgq.layers

    return getattr(hgq.layers, cls)(*args, **kwargs)


def flat(x: Any) -> Any:
    return L.Flatten(name="flatten")(x)


MERGES: dict[str, Callable[[Any, Any], Any]] = {
    "Add": lambda a, b: L.Add(name="m")([a, b]),
    "Subtract": lambda a, b: L.Subtract(name="m")([a, b]),
    "Maximum": lambda a, b: L.Maximum(name="m")([a, b]),
    "Minimum": lambda a, b: L.Minimum(name="m")([a, b]),
    "Multiply": lambda a, b: L.Multiply(name="m")([a, b]),
    "Average": lambda a, b: L.Average(name="m")([a, b]),
    "Concatenate": lambda a, b: L.Concatenate(name="m")([a, b, a]),
    "Add of four": lambda a, b: L.Add(name="m")([a, b, a, b]),
    "operator": lambda a, b: a + b - a * b,
    "QAdd": lambda a, b: hgq("QAdd", name="m")([a, b]),
    "QSubtract": lambda a, b: hgq("QSubtract", name="m", enable_oq=True)([a, b]),
    "QMultiply": lambda a, b: hgq("QMultiply", name="m")([a, b]),
    "QMaximum": lambda a, b: hgq("QMaximum", name="m")([a, b]),
    "QMinimum": lambda a, b: hgq("QMinimum", name="m", enable_iq=False)([a, b]),
    "QAveragePow2": lambda a, b: hgq("QAveragePow2", name="m")([a, b, a]),
}


@pytest.mark.parametrize("merge", MERGES.values(), ids=MERGES.keys())
def test_merge_on_pixels(merge: Callable[[Any, Any], Any]) -> None:
    def body(x: Any, mask: Any) -> Any:
        x = merge(conv(2, "conv1")([x, mask]), conv(2, "conv2", activation="relu")([x, mask]))
        return flat(conv(2, "conv3")([x, mask]))

    assert_exact(sparse_model(body), events())


@pytest.mark.parametrize("merge", MERGES.values(), ids=MERGES.keys())
def test_merge_dense(merge: Callable[[Any, Any], Any]) -> None:
    def body(x: Any, _: Any) -> Any:
        x = flat(x)
        return merge(hgq("QDense", 3, name="d1")(x), hgq("QDense", 3, name="d2", activation="relu")(x))

    assert_exact(sparse_model(body), events())


def test_residual_with_one_channel() -> None:
    def body(x: Any, mask: Any) -> Any:
        return flat(L.Add(name="add")([conv(3, "conv1")([x, mask]), conv(1, "conv2")([x, mask])]))

    assert_exact(sparse_model(body), events())


def test_equal_pixels_on_two_ways() -> None:
    """Windows of 2x2 on one branch, of 2x1 and then 1x2 on the other: the same pixels in the same slots."""
    from sparsepixels.layers import AveragePooling2DSparse, MaxPooling2DSparse

    def body(x: Any, mask: Any) -> Any:
        a, mask_a = MaxPooling2DSparse(2, name="pool1")([conv(2, "conv1")([x, mask]), mask])
        b, mask_b = AveragePooling2DSparse((2, 1), name="pool2")([conv(2, "conv2")([x, mask]), mask])
        b, mask_b = AveragePooling2DSparse((1, 2), name="pool3")([b, mask_b])
        x = L.Add(name="add")([a, b])
        return flat(L.Add(name="sum")([conv(2, "conv3")([x, mask_a]), conv(2, "conv4")([a, mask_b])]))

    assert_exact(sparse_model(body, (9, 7, 2)), events((9, 7, 2)))


def test_masking_by_multiplication() -> None:
    def body(x: Any, mask: Any) -> Any:
        return flat(L.Multiply(name="mul")([conv(2, "conv1")([x, mask]), mask]))

    assert_exact(sparse_model(body), events())


def two_inputs() -> Any:
    from sparsepixels.layers import InputReduce, MaxPooling2DSparse

    parts, sources = [], []
    for name, shape, n in (("a", (8, 7, 2), 6), ("b", (6, 6, 1), 4)):
        source = keras.Input(shape, name=f"in_{name}")
        x, mask = InputReduce(n=n, learn_n=False, learn_threshold=False, name=f"reduce_{name}")(source)
        x = conv(2, f"conv_{name}")([x, mask])
        x, mask = MaxPooling2DSparse(2, name=f"pool_{name}")([x, mask])
        sources.append(source)
        parts.append(L.Flatten(name=f"flat_{name}")(x))
    x = L.Concatenate(name="join")(parts)
    return keras.Model(sources, [hgq("QDense", 3, name="out_1")(x), L.Activation("softmax", name="out_2")(x), parts[0]])


def test_several_inputs_and_outputs() -> None:
    model = two_inputs()
    randomize(model, 1)
    proto = assert_exact(model, [events(), events((6, 6, 1))])
    assert [o.name for o in proto.graph.output] == ["out_1", "out_2", "flat_a"]


def test_sparse_output() -> None:
    model = sparse_model(lambda x, mask: conv(2, "conv1")([x, mask]))
    proto = assert_exact(model, events())
    assert [o.name for o in proto.graph.output] == ["conv1.dense"]


def test_maps_on_different_pixels_merge_as_the_images_that_they_are() -> None:
    from sparsepixels.layers import InputReduce

    source = keras.Input((8, 7, 2), name="x_in")
    (a, mask), (b, _) = (InputReduce(n=n, learn_n=False, name=f"reduce_{n}")(source) for n in (3, 5))
    for merged in (L.Add(name="add")([a, b]), L.Concatenate(name="joined")([a, source])):
        assert_exact(keras.Model(source, flat(merged)), events())
    model = keras.Model(source, flat(conv(2, "conv1")([L.Add(name="add")([a, b]), mask])))
    with pytest.raises(UnsupportedLayerError, match=r"'conv1' \(QConv2DSparse\): its feature map is a dense tensor"):
        assert_exact(model, events())


def test_nested_and_shared() -> None:
    """A model called twice: inner layers get its name where their own is taken."""
    inner_in = [keras.Input((8, 7, 2)), keras.Input((8, 7, 1))]
    y = conv(2, "conv1", activation="relu")(inner_in)
    block = keras.Model(inner_in, L.ReLU(name="relu1")(y), name="block")
    head = keras.Sequential(
        [L.Flatten(), hgq("QDense", 3, name="dense1"), L.Activation("softmax", name="s")], name="head"
    )
    shared = conv(2, "shared")

    def body(x: Any, mask: Any) -> Any:
        x = block([block([x, mask]), mask])
        return head(shared([shared([x, mask]), mask]))

    proto = assert_exact(sparse_model(body), events())
    names = [node.name for node in proto.graph.node]
    assert {"conv1", "block.conv1", "relu1", "block.relu1", "shared", "shared_1", "dense1"} <= set(names)
    assert len(set(names)) == len(names)


def test_no_ops() -> None:
    def body(x: Any, mask: Any) -> Any:
        x = L.SpatialDropout2D(0.2, name="sd")(conv(2, "conv1")([x, mask]))
        x = L.Activation("linear", name="lin")(L.GaussianNoise(0.2, name="gn")(x))
        return L.Dropout(0.2, name="drop")(flat(x))

    assert_exact(sparse_model(body), events())


def reflecting() -> Any:
    from hgq.quantizer.config import QuantizerConfig

    return QuantizerConfig("kif", "datalane", overflow_mode="WRAP_SM")


def image(x: Any) -> Any:
    """A dense image behind the sparse part."""
    return L.Reshape((8, 7, 2), name="image")(x)


DENSE: dict[str, Callable[[Any], Any]] = {
    "QConv2D same": lambda x: hgq("QConv2D", 3, 3, padding="same", activation="relu", name="l")(image(x)),
    "QConv2D strides": lambda x: hgq("QConv2D", 3, (4, 3), strides=(3, 2), padding="same", name="l")(image(x)),
    "QConv2D valid": lambda x: hgq("QConv2D", 2, (2, 3), enable_oq=True, name="l")(image(x)),
    "QConv2D dilated": lambda x: hgq("QConv2D", 2, 2, padding="same", dilation_rate=2, use_bias=False, name="l")(
        image(x)
    ),
    "QConv1D": lambda x: hgq("QConv1D", 2, 3, padding="same", name="l")(L.Reshape((56, 2), name="r")(x)),
    "QConv1D causal": lambda x: hgq("QConv1D", 2, 3, padding="causal", enable_iq=False, dilation_rate=2, name="l")(
        L.Reshape((56, 2), name="r")(x)
    ),
    "QBatchNormalization": lambda x: hgq("QBatchNormalization", name="l")(flat(x)),
    "QBatchNormalization image": lambda x: hgq("QBatchNormalization", center=False, enable_oq=True, name="l")(image(x)),
    "QBatchNormDense": lambda x: hgq("QBatchNormDense", 3, name="l")(flat(x)),
    "QEinsumDense": lambda x: hgq("QEinsumDense", "...d,de->...e", 3, bias_axes="e", name="l")(image(x)),
    "QEinsumDense ellipsis": lambda x: hgq("QEinsumDense", "...d,de->...e", 3, bias_axes="e", name="l")(image(x)),
    "QEinsumDense mixed": lambda x: hgq("QEinsumDense", "abcd,cbe->aed", (3, 2), name="l", enable_oq=True)(image(x)),
    "QEinsumDense blocks": lambda x: hgq("QEinsumDense", "abcd,bde->aecb", (3, 7, 8), bias_axes="eb", name="l")(
        image(x)
    ),
    "QEinsumDenseBatchnorm": lambda x: hgq("QEinsumDenseBatchnorm", "ab,bc->ac", 3, bias_axes="c", name="l")(flat(x)),
    "QGlobalAveragePooling2D": lambda x: hgq("QGlobalAveragePooling2D", name="l")(image(x)),
    "QGlobalMaxPooling2D": lambda x: hgq("QGlobalMaxPooling2D", enable_oq=True, name="l")(image(x)),
    "QAveragePooling2D": lambda x: hgq("QAveragePooling2D", (2, 7), name="l")(image(x)),
    "QMaxPooling2D": lambda x: hgq("QMaxPooling2D", (4, 1), enable_oq=True, name="l")(image(x)),
    "MaxPooling1D": lambda x: L.MaxPooling1D(7, name="l")(L.Reshape((56, 2), name="r")(x)),
    "QSum": lambda x: hgq("QSum", axes=(1, 2), scale=0.5, name="l")(image(x)),
    "QMeanPow2": lambda x: hgq("QMeanPow2", axes=-1, keepdims=True, name="l")(image(x)),
    "Permute": lambda x: hgq("QDense", 2, name="l")(L.Permute((3, 1, 2), name="p")(image(x))),
    "QUnaryFunctionLUT": lambda x: hgq("QUnaryFunctionLUT", "tanh", name="l")(flat(x)),
    "QUnaryFunctionLUT one format": lambda x: hgq(
        "QUnaryFunctionLUT", "sigmoid", allow_heterogeneous_table=False, allow_heterogeneous_input=False, name="l"
    )(flat(x)),
    "QUnaryFunctionLUT reflecting": lambda x: hgq("QUnaryFunctionLUT", "tanh", iq_conf=reflecting(), name="l")(flat(x)),
    "QAffinedUnaryFunctionLUT": lambda x: hgq("QAffinedUnaryFunctionLUT", "gelu", name="l")(flat(x)),
    "QSoftmax": lambda x: hgq("QSoftmax", name="l")(hgq("QDense", 5, name="d")(flat(x))),
    "QSoftmax iq": lambda x: hgq("QSoftmax", name="l", enable_iq=True, enable_oq=True, input_scaler=0.5)(
        hgq("QDense", 5, name="d")(flat(x))
    ),
}


@pytest.mark.parametrize("layer", DENSE.values(), ids=DENSE.keys())
def test_dense_layers(layer: Callable[[Any], Any]) -> None:
    for seed in range(2):
        model = sparse_model(lambda x, _: layer(x), seed=seed)
        assert_exact(model, events(seed=seed), qonnx=seed == 0)


def test_tables_and_normalization_on_pixels() -> None:
    def body(x: Any, mask: Any) -> Any:
        x = hgq("QBatchNormalization", name="bn")(conv(2, "conv1")([x, mask]))
        x = conv(2, "conv2")([x, mask])
        x = hgq("QUnaryFunctionLUT", "sigmoid", name="lut", allow_heterogeneous_table=False)(x)
        x = conv(2, "conv3")([x, mask])
        return flat(hgq("QUnaryFunctionLUT", "tanh", name="lut2", allow_heterogeneous_table=False)(x))

    assert_exact(sparse_model(body), events())


def several(x: Any) -> Any:
    """Floating-point tensors flow through layers that have a handler as well."""
    y = L.Add(name="a")([L.Dense(3, name="d1")(x), L.PReLU(name="p")(L.Dense(3, name="d2")(x))])
    return L.Softmax(name="last")(L.Dropout(0.1, name="drop")(L.ReLU(name="r")(y)))


FOREIGN: dict[str, Callable[[Any], Any]] = {
    "Dense": lambda x: L.Dense(4, activation="gelu", name="last")(flat(x)),
    "tanh": lambda x: L.Activation("tanh", name="last")(flat(x)),
    "BatchNormalization": lambda x: L.BatchNormalization(name="last")(flat(x)),
    "Conv2D": lambda x: L.Conv2D(2, 3, padding="same", strides=2, name="last")(image(x)),
    "LSTM": lambda x: L.LSTM(3, name="last")(L.Reshape((8, 14), name="r")(x)),
    "LayerNormalization": lambda x: L.LayerNormalization(name="last")(flat(x)),
    "MaxPooling2D partial": lambda x: L.MaxPooling2D(3, strides=2, padding="same", name="last")(image(x)),
    "UpSampling2D": lambda x: L.UpSampling2D(2, name="last")(image(x)),
    "several": lambda x: several(flat(x)),
}


@pytest.mark.parametrize("layer", FOREIGN.values(), ids=FOREIGN.keys())
def test_any_other_keras_layer_behind_the_sparse_part(layer: Callable[[Any], Any]) -> None:
    """Such layers compute in floating point: they are compared with a tolerance, what lies before them exactly."""
    import numpy as np

    from sparse_qonnx.export import export
    from sparse_qonnx.export.freeze import reference_outputs
    from sparse_qonnx.runtime import run_tensors

    pytest.importorskip("tf2onnx")
    model = sparse_model(lambda x, mask: layer(conv(2, "conv1")([x, mask])))
    proto = export(model, None, "ap_fixed<10,6>")
    assert [o.name for o in proto.graph.output] == ["last"]
    want = reference_outputs(model, events())
    got = run_tensors(proto, {"x_in": events()}, list(want))
    assert np.array_equal(got["conv1"], want["conv1"])
    np.testing.assert_allclose(got["last"], want["last"], rtol=1e-5, atol=1e-5)  # summed in another order
