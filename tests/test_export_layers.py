"""Each layer family: the exported graph gives Keras's own numbers, tensor by tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keras_models import assert_exact, events, sparse_model

pytestmark = pytest.mark.keras
keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def layers() -> Any:
    """The layers of sparsepixels, HGQ2 and Keras under their own names."""
    from types import SimpleNamespace

    import hgq.layers
    import hgq.quantizer
    import sparsepixels.layers
    from hgq.quantizer.config import QuantizerConfig

    public = {n: getattr(keras.layers, n) for n in dir(keras.layers)}
    ours = {n: getattr(hgq.layers, n) for n in hgq.layers.__all__}
    sparse = {n: getattr(sparsepixels.layers, n) for n in dir(sparsepixels.layers) if n.endswith(("Sparse", "Pixels"))}
    return SimpleNamespace(
        **public, **ours, **sparse, InputReduce=sparsepixels.layers.InputReduce, Config=QuantizerConfig
    )


CONVS = {
    "square": {"kernel_size": 3},
    "even": {"kernel_size": 4},
    "rectangular": {"kernel_size": (2, 5)},
    "pointwise": {"kernel_size": 1},
    "pointwise_valid": {"kernel_size": 1, "padding": "valid"},
    "larger_than_image": {"kernel_size": (11, 9)},
    "dilated": {"kernel_size": 3, "dilation_rate": (2, 3)},
    "dilated_even": {"kernel_size": (2, 4), "dilation_rate": 2},
    "no_bias": {"kernel_size": 3, "use_bias": False},
    "relu": {"kernel_size": 3, "activation": "relu"},
    "no_input_quantizer": {"kernel_size": 3, "enable_iq": False},
    "output_quantizer": {"kernel_size": 3, "enable_oq": True},
    "output_quantizer_no_bias": {"kernel_size": 3, "enable_oq": True, "use_bias": False, "activation": "relu"},
}


@pytest.mark.parametrize("arguments", CONVS.values(), ids=CONVS.keys())
def test_conv(layers: Any, arguments: dict[str, Any]) -> None:
    def body(x: Any, mask: Any) -> Any:
        x = layers.QConv2DSparse(3, name="conv1", **{"padding": "same", **arguments})([x, mask])
        x = layers.QConv2DSparse(2, 3, padding="same", name="conv2")([x, mask])
        return layers.Flatten(name="flatten")(x)

    for seed in range(3):
        assert_exact(sparse_model(body, seed=seed), events(seed=seed), qonnx=seed == 0)


@pytest.mark.parametrize("name", ["relu6", "hard_tanh", "linear"])
def test_activation_in_and_outside(layers: Any, name: str) -> None:
    def body(x: Any, mask: Any) -> Any:
        x = layers.QConv2DSparse(2, 3, padding="same", activation=name, name="conv1")([x, mask])
        x = layers.QConv2DSparse(2, 3, padding="same", name="conv2")([x, mask])
        x = layers.Activation(name, name="act")(x)
        return layers.QDense(3, activation=name, name="dense")(layers.Flatten(name="flatten")(x))

    assert_exact(sparse_model(body), events())


def test_model_built_in_float64(layers: Any) -> None:
    from sparse_qonnx.export.frozen_layers import default_dtype

    def body(x: Any, mask: Any) -> Any:
        x = layers.QConv2DSparse(2, 3, padding="same", activation="relu", name="conv1")([x, mask])
        x, mask = layers.AveragePooling2DSparse(3, name="pool1")([x, mask])
        return layers.QDense(3, name="dense")(layers.Flatten(name="flatten")(x))

    with default_dtype("float64"):
        model = sparse_model(body, reduce={"threshold": 0.1, "learn_threshold": True})
    assert model.get_layer("conv1").conv.compute_dtype == "float64"
    proto = assert_exact(model, events())
    assert {v.type.tensor_type.elem_type for v in (*proto.graph.input, *proto.graph.output)} == {1}


def test_settings_of_keras_are_restored(layers: Any) -> None:
    from sparse_qonnx.export.freeze import reference_outputs

    model = sparse_model(lambda x, mask: layers.QConv2DSparse(2, 3, padding="same", name="conv1")([x, mask]))
    before = keras.config.floatx(), keras.config.dtype_policy().name
    assert reference_outputs(model, events(), float64=True)["conv1"].dtype == np.float64
    assert before == (keras.config.floatx(), keras.config.dtype_policy().name)
    assert layers.Dense(1).compute_dtype == before[0]


@pytest.mark.parametrize("slope", [0.25, 2.0])
def test_activations_of_wide_numbers(layers: Any, slope: float) -> None:
    def body(x: Any, mask: Any) -> Any:
        x = layers.QConv2DSparse(2, 3, padding="same", enable_iq=False, name="conv1")([x, mask])
        x = layers.LeakyReLU(slope, name="leaky")(layers.ReLU(max_value=64.0, name="limit")(x))
        return layers.Flatten(name="flatten")(x)

    from keras_models import uses_float64

    assert uses_float64(assert_exact(sparse_model(body), events(frac=12), "ap_fixed<24,6>"))


def test_operators_without_float64_are_refused(layers: Any) -> None:
    from sparse_qonnx.errors import PrecisionError
    from sparse_qonnx.export import export

    def body(x: Any, _: Any) -> Any:
        return layers.QConv2D(2, 3, enable_iq=False, name="conv")(layers.Reshape((8, 7, 2), name="image")(x))

    with pytest.raises(PrecisionError, match=r"'conv.conv' \(Conv\): needs \d+ bits to be exact.*fewer bits"):
        export(sparse_model(body), None, "ap_fixed<24,6>")


def test_grouped_conv(layers: Any) -> None:
    def body(x: Any, mask: Any) -> Any:
        return layers.Flatten(name="flatten")(layers.QConv2DSparse(6, 3, padding="same", groups=2, name="c")([x, mask]))

    assert_exact(sparse_model(body, (6, 6, 4)), events((6, 6, 4)))


@pytest.mark.parametrize("size", [1, 2, 3, (2, 3), (3, 1), 7])
@pytest.mark.parametrize("kind", ["AveragePooling2DSparse", "MaxPooling2DSparse"])
def test_pool(layers: Any, kind: str, size: Any) -> None:
    def body(x: Any, mask: Any) -> Any:
        x, mask = getattr(layers, kind)(size, name="pool1")([x, mask])
        x = layers.QConv2DSparse(2, 3, padding="same", name="conv")([x, mask])
        return layers.Flatten(name="flatten")(x)

    assert_exact(sparse_model(body), events())


def test_pool_same_where_it_pads_nothing(layers: Any) -> None:
    def body(x: Any, mask: Any) -> Any:
        x, mask = layers.MaxPooling2DSparse(2, padding="same", name="pool")([x, mask])
        return layers.Flatten(name="flatten")(x)

    assert_exact(sparse_model(body, (8, 6, 1)), events((8, 6, 1)))


def test_two_pools_and_convs_in_any_order(layers: Any) -> None:
    def body(x: Any, mask: Any) -> Any:
        x, mask = layers.MaxPooling2DSparse((1, 2), name="pool1")([x, mask])
        x = layers.QConv2DSparse(2, 3, padding="same", name="conv1")([x, mask])
        x = layers.ReLU(name="relu1")(x)
        x = layers.RemoveDilatedPixels(name="mask1")([x, mask])
        x, mask = layers.AveragePooling2DSparse((3, 1), name="pool2")([x, mask])
        x = layers.QConv2DSparse(2, 2, padding="same", name="conv2", activation="relu")([x, mask])
        return layers.Flatten(name="flatten")(x)

    assert_exact(sparse_model(body, (9, 8, 1)), events((9, 8, 1)))


@pytest.mark.parametrize("n", [1, 5, 56, 1000])
@pytest.mark.parametrize("threshold", [0.0, -1.0, 0.3, 99.0])
def test_input_reduce(layers: Any, n: int, threshold: float) -> None:
    model = sparse_model(lambda x, _: layers.Flatten(name="flatten")(x), reduce={"n": n, "threshold": threshold})
    proto = assert_exact(model, events())
    reduce = next(node for node in proto.graph.node if node.op_type == "InputReduce")
    assert {a.name: a for a in reduce.attribute}["n_max_pixels"].i == min(n, 56)


@pytest.mark.parametrize(
    ("fraction", "n", "budget"),
    [(1.0, 5, 5), (0.5, 5, 2), (0.7, 5, 4), (0.3, 5, 2), (0.1, 5, None), (0.25, 10, 2), (3.5, 1, 4), (99.0, 5, 56)],
    ids=str,
)
def test_learned_budget_is_what_the_forward_pass_selects(
    layers: Any, fraction: float, n: int, budget: int | None
) -> None:
    """The product is formed in float32 and rounded half to even: 0.5 * 5 keeps 2 pixels, 0.3 * 5 as well."""
    from sparse_qonnx.errors import UnsupportedLayerError

    reduce = {"n": n, "learn_n": True, "learn_threshold": True, "threshold": 0.25}
    model = sparse_model(lambda x, _: layers.Flatten(name="flatten")(x), reduce=reduce)
    model.get_layer("reduce").n_frac.assign(fraction)
    if budget is None:
        with pytest.raises(UnsupportedLayerError, match="rounds to 0"):
            assert_exact(model, events())
        return
    proto = assert_exact(model, events())
    node = next(node for node in proto.graph.node if node.op_type == "InputReduce")
    assert {a.name: a for a in node.attribute}["n_max_pixels"].i == budget
    # the unfrozen model keeps the same pixels; its mask is only near 1, so values differ in the last bits
    x = events()
    kept = keras.ops.convert_to_numpy(model.get_layer("reduce")(x)[1])[..., 0] > 0.5
    assert kept.sum(axis=(1, 2)).max() == min(budget, (x[..., 0] > 0.25).sum(axis=(1, 2)).max())


def test_export_leaves_the_model_alone(layers: Any) -> None:
    reduce = {"learn_n": True, "learn_threshold": True}
    model = sparse_model(lambda x, _: layers.Flatten(name="flatten")(x), reduce=reduce)
    before = model.get_weights()
    assert_exact(model, events())
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


RELUS = {
    "plain": {},
    "slope": {"negative_slope": 0.25},
    "limit": {"max_value": 1.5},
    "six": {"max_value": 6.0},
    "threshold": {"threshold": 0.5},
    "both": {"threshold": 0.25, "max_value": 1.5},
    "nothing": {"max_value": 0.0},
}


@pytest.mark.parametrize("arguments", RELUS.values(), ids=RELUS.keys())
def test_relu(layers: Any, arguments: dict[str, Any]) -> None:
    def body(x: Any, mask: Any) -> Any:
        x = layers.QConv2DSparse(2, 3, padding="same", name="conv1")([x, mask])
        x = layers.ReLU(name="relu1", **arguments)(x)
        x = layers.Flatten(name="flatten")(x)
        x = layers.QDense(4, name="dense1")(x)
        return layers.ReLU(name="relu2", **arguments)(x)

    assert_exact(sparse_model(body), events())


@pytest.mark.parametrize("head", ["softmax", "sigmoid", "linear"])
def test_dense_and_heads(layers: Any, head: str) -> None:
    def body(x: Any, _: Any) -> Any:
        x = layers.Flatten(name="flatten")(x)
        x = layers.QDense(5, activation="relu", enable_oq=True, name="dense1")(x)
        x = layers.Dropout(0.5, name="dropout")(x)
        x = layers.QDense(4, use_bias=False, enable_oq=True, name="dense2")(x)
        x = layers.QDense(3, enable_iq=False, name="dense3")(x)
        return layers.Activation(head, name="head")(x)

    proto = assert_exact(sparse_model(body), events(), qonnx=True)
    assert [o.name for o in proto.graph.output] == ["dense3" if head == "linear" else "head"]


def test_tensor_names_are_layer_names(layers: Any) -> None:
    def body(x: Any, mask: Any) -> Any:
        x = layers.QConv2DSparse(2, 3, padding="same", activation="relu", enable_oq=True, name="conv1")([x, mask])
        x, mask = layers.AveragePooling2DSparse(2, name="pool1")([x, mask])
        x = layers.Flatten(name="flatten")(x)
        return layers.QDense(3, activation="relu", enable_oq=True, name="dense1")(x)

    proto = assert_exact(sparse_model(body), events())
    names = {name for node in proto.graph.node for name in node.output}
    assert names >= {"reduce", "reduce.coords", "conv1.iq", "conv1.sum", "conv1.oq", "conv1.linear", "conv1"}
    assert names >= {"pool1", "pool1.coords", "flatten.dense", "flatten"}
    assert names >= {"dense1.iq", "dense1.matmul", "dense1.linear", "dense1.relu", "dense1"}


@pytest.mark.parametrize("kind", ["GlobalAveragePooling2D", "GlobalMaxPooling2D"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_global_pooling_and_reshape(layers: Any, kind: str, keepdims: bool) -> None:
    def body(x: Any, mask: Any) -> Any:
        x = layers.QConv2DSparse(4, 3, padding="same", name="conv1")([x, mask])
        x = getattr(layers, kind)(keepdims=keepdims, name="pool")(x)
        x = layers.Reshape((2, -1), name="reshape")(x)
        return layers.QDense(2, name="dense")(x)

    assert_exact(sparse_model(body), events())


@pytest.mark.parametrize("overflow", ["WRAP", "SAT", "SAT_SYM"])
def test_values_that_are_no_numbers(layers: Any, overflow: str) -> None:
    """NaN and infinity in kept pixels stay in the pixels they reach; in dropped ones they are gone."""

    def body(x: Any, mask: Any) -> Any:
        iq = layers.Config("kif", "datalane", overflow_mode=overflow)
        x = layers.QConv2DSparse(2, 3, padding="same", activation="relu", iq_conf=iq, name="conv1")([x, mask])
        return layers.QConv2DSparse(2, 3, padding="same", iq_conf=iq, name="conv2")([x, mask])

    x = events()
    rng = np.random.default_rng(3)
    for value in (np.nan, np.inf, -np.inf):
        x[rng.random(x.shape) < 0.02] = value
    assert_exact(sparse_model(body), x)
