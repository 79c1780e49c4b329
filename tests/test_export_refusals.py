"""What cannot be exported exactly is refused: the message names layer, attribute, value, what is allowed, the fix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_models import sparse_model
from sparse_qonnx.errors import OutputPathError, PrecisionError, SparseQonnxError, UnsupportedLayerError

pytestmark = pytest.mark.keras
keras = pytest.importorskip("keras")


def flat(x: Any) -> Any:
    return keras.layers.Flatten(name="flatten")(x)


def conv(**arguments: Any) -> Callable[[Any, Any], Any]:
    def body(x: Any, mask: Any) -> Any:
        from sparsepixels.layers import QConv2DSparse

        x = QConv2DSparse(2, arguments.pop("kernel_size", 3), name="conv1", **{"padding": "same", **arguments})(
            [x, mask]
        )
        return flat(x)

    return body


def pool(**arguments: Any) -> Callable[[Any, Any], Any]:
    def body(x: Any, mask: Any) -> Any:
        from sparsepixels.layers import MaxPooling2DSparse

        return flat(MaxPooling2DSparse(2, name="pool1", **arguments)([x, mask])[0])

    return body


def on_features(make: Callable[[], Any]) -> Callable[[Any, Any], Any]:
    return lambda x, _: flat(make()(x))


def on_vector(make: Callable[[], Any]) -> Callable[[Any, Any], Any]:
    return lambda x, _: make()(flat(x))


def quantizer(**arguments: Any) -> Any:
    from hgq.quantizer import Quantizer
    from hgq.quantizer.config import QuantizerConfig

    q_type = arguments.pop("q_type", "kif")
    return Quantizer(QuantizerConfig(q_type, "datalane", **arguments), name="q")


def qdense(*arguments: Any, **keywords: Any) -> Any:
    from hgq.layers import QDense

    return QDense(*arguments, **keywords)


def hgq_attention(x: Any) -> Any:
    from hgq.layers import QMultiHeadAttention

    return QMultiHeadAttention(2, 4, name="mha", fuse="none")(x, x)


def other_mask(x: Any, mask: Any) -> Any:
    from sparsepixels.layers import MaxPooling2DSparse, QConv2DSparse

    pooled, _ = MaxPooling2DSparse((2, 3), name="pool1")([x, mask])
    y, other = MaxPooling2DSparse((1, 2), name="pool2")([x, mask])
    _, other = MaxPooling2DSparse(2, name="pool3")([y, other])
    return flat(QConv2DSparse(2, 3, padding="same", name="conv1")([pooled, other]))


def softmax_inside(x: Any, _: Any) -> Any:
    return qdense(2, name="dense1")(keras.layers.Activation("softmax", name="head")(flat(x)))


L = keras.layers
REFUSED: dict[str, tuple[Callable[[Any, Any], Any], tuple[str, ...]]] = {
    "dense conv on sparse": (
        on_features(lambda: L.Conv2D(2, 3, padding="same", name="c")),
        ("layer 'c' (Conv2D)", "'reduce'", "use QConv2DSparse"),
    ),
    "batch normalization": (
        on_features(lambda: L.BatchNormalization(name="bn")),
        ("layer 'bn' (BatchNormalization)", "QBatchNormalization with a QConv2DSparse"),
    ),
    "plain pooling": (
        on_features(lambda: L.MaxPooling2D(2, name="mp")),
        ("layer 'mp' (MaxPooling2D)", "use MaxPooling2DSparse"),
    ),
    "sigmoid alone": (
        on_features(lambda: L.Activation("sigmoid", name="act")),
        ("layer 'act' (Activation)", "sigmoid", "inactive pixels", "Allowed: ", "Fix: "),
    ),
    "tanh on pixels": (
        on_features(lambda: L.Activation("tanh", name="act")),
        ("layer 'act' (Activation)", "activation='tanh'", "Allowed: linear, relu", "QUnaryFunctionLUT"),
    ),
    "tanh in a quantized layer": (
        on_vector(lambda: qdense(2, activation="tanh", name="d")),
        ("layer 'd' (QDense)", "activation='tanh'", "Allowed: linear, relu", "QUnaryFunctionLUT"),
    ),
    "gelu in conv": (conv(activation="gelu"), ("layer 'conv1' (QConv2DSparse)", "activation='gelu'")),
    "own activation": (
        conv(activation=lambda x: keras.ops.maximum(x, 0.0)),
        ("layer 'conv1' (QConv2DSparse)", "activation='<lambda>'"),
    ),
    "slope": (
        on_features(lambda: L.ReLU(negative_slope=0.2, name="r")),
        ("layer 'r' (ReLU)", "negative_slope=0.2", "powers of two", "negative_slope=0.25"),
    ),
    "slope and limit": (
        on_features(lambda: L.ReLU(negative_slope=0.25, max_value=6, name="r")),
        ("layer 'r' (ReLU)", "negative_slope=0.25", "max_value=6.0", "two layers"),
    ),
    "limit": (on_features(lambda: L.ReLU(max_value=0.1, name="r")), ("layer 'r' (ReLU)", "max_value=0.1", "float32")),
    "scaler": (
        on_features(lambda: quantizer(scaler=0.3)),
        ("layer 'q' (Quantizer)", "scaler=0.3", "powers of two", "scaler=None"),
    ),
    "filled pixels": (
        on_features(lambda: quantizer(affine=(0.25, 0.5))),
        ("layer 'flatten' (Flatten)", "layer 'q' fills", "QConv2DSparse"),
    ),
    "other pixels": (other_mask, ("layer 'conv1' (QConv2DSparse)", "'pool1.coords'", "'pool3.coords'")),
    "float layer inside": (
        on_vector(lambda: keras.Sequential([L.Activation("tanh", name="float"), qdense(2, name="d")])),
        ("layer 'd' (QDense)", "floating-point results of 'float'"),
    ),
    "attention": (
        lambda x, _: hgq_attention(L.Reshape((8, 14), name="r")(x)),
        ("layer 'mha' (QMultiHeadAttention)", "no exact counterpart", "QEinsumDense"),
    ),
    "float results inside": (softmax_inside, ("layer 'dense1' (QDense)", "'head'", "as the last ones only")),
    "dense layer on pixels": (
        lambda x, _: flat(qdense(2, name="d")(x)),
        ("layer 'd' (QDense)", "sparse feature map 'reduce'", "Flatten"),
    ),
    "half precision": (
        on_features(lambda: L.ReLU(name="r", dtype="float16")),
        ("layer 'r' (ReLU)", "computes in float16", "dtype='float32'"),
    ),
    "mask as features": (lambda _, mask: flat(L.ReLU(name="r")(mask)), ("layer 'r' (ReLU)", "keep mask")),
    "dropout in training": (
        lambda x, _: flat(L.Dropout(0.5, name="drop")(x, training=True)),
        ("layer 'drop' (Dropout)", "training=True"),
    ),
}


@pytest.mark.parametrize(("body", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(body: Callable[[Any, Any], Any], said: tuple[str, ...], tmp_path: Path) -> None:
    from sparse_qonnx.export import export

    if "'float'" in "".join(said):
        pytest.importorskip("tf2onnx")
    model = sparse_model(body)
    with pytest.raises(UnsupportedLayerError) as caught:
        export(model, tmp_path / "m.onnx", "ap_fixed<10,6>")
    message = str(caught.value)
    assert all(part in message for part in said), message
    assert "\n" not in message
    assert "Fix: " in message
    assert len(message) < 600
    assert not list(tmp_path.iterdir())


CONV_ATTRIBUTES = {
    "strides": ((2, 2), "strides=(2, 2)", "strides=(1, 1)"),
    "padding": ("valid", "padding='valid'", "padding='same'"),
    "data_format": ("channels_first", "data_format='channels_first'", "data_format='channels_last'"),
}


@pytest.mark.parametrize(("attribute", "wanted"), CONV_ATTRIBUTES.items(), ids=CONV_ATTRIBUTES.keys())
def test_conv_that_leaves_its_pixels(attribute: str, wanted: tuple[Any, str, str]) -> None:
    """Keras cannot even run these with a mask, so the attribute is changed after building."""
    from sparse_qonnx.export import export

    value, problem, allowed = wanted
    model = sparse_model(conv())
    setattr(model.get_layer("conv1").conv, attribute, value)
    with pytest.raises(UnsupportedLayerError) as caught:
        export(model)
    message = str(caught.value)
    assert message.startswith("layer 'conv1' (QConv2DSparse): ")
    assert problem in message
    assert f"Allowed: {allowed}" in message


def test_pool_strides_and_padding() -> None:
    from sparse_qonnx.export import export

    with pytest.raises(UnsupportedLayerError, match=r"'pool1' \(MaxPooling2DSparse\): strides=\(1, 1\).*strides=None"):
        export(sparse_model(pool(strides=1)))
    with pytest.raises(UnsupportedLayerError, match=r"'pool1' \(MaxPooling2DSparse\): padding='same'.*padding='valid'"):
        export(sparse_model(pool(padding="same")))


def test_filled_pixels_may_be_masked_again() -> None:
    """The same quantizer is fine where a convolution masks its input."""
    from sparsepixels.layers import QConv2DSparse

    from keras_models import assert_exact, events

    def body(x: Any, mask: Any) -> Any:
        return flat(QConv2DSparse(2, 3, padding="same", name="conv1")([quantizer(affine=(0.25, 0.5))(x), mask]))

    assert_exact(sparse_model(body), events())


def test_model_without_reduction() -> None:
    from sparse_qonnx.export import export

    source = keras.Input((4, 4, 1))
    model = keras.Model(source, keras.layers.Flatten()(source), name="dense_model")
    with pytest.raises(UnsupportedLayerError, match=r"model 'dense_model': has no InputReduce.*add InputReduce"):
        export(model)


def test_subclassed_model() -> None:
    from sparse_qonnx.export import export

    class Own(keras.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(UnsupportedLayerError, match=r"\(Own\): has no graph.*functional API"):
        export(Own(name="own"))


def test_unknown_image_size() -> None:
    from sparsepixels.layers import InputReduce

    from sparse_qonnx.export import export

    source = keras.Input((None, None, 1), name="x_in")
    model = keras.Model(source, keras.layers.GlobalMaxPooling2D()(InputReduce(n=4)(source)[0]))
    with pytest.raises(UnsupportedLayerError, match=r"input 'x_in': has shape .None, None, 1."):
        export(model)


def test_reductions_read_images_of_fixed_point_numbers() -> None:
    from sparsepixels.layers import InputReduce

    from sparse_qonnx.export import export

    source = keras.Input((36,), name="x_in")
    vector = keras.Model(source, InputReduce(n=4, name="reduce")(keras.layers.Reshape((6, 6), name="image")(source)))
    with pytest.raises(
        UnsupportedLayerError, match=r"layer 'reduce' \(InputReduce\).*\[6, 6\].*Reshape\(\(H, W, C\)\)"
    ):
        export(vector)
    source = keras.Input((6, 6, 1), name="x_in")
    x = keras.layers.Activation("sigmoid", name="sigmoid")(source)
    model = keras.Model(source, keras.layers.Flatten()(InputReduce(n=4, name="reduce")(x)[0]))
    with pytest.raises(UnsupportedLayerError, match=r"'reduce' \(InputReduce\).*floating-point results of 'sigmoid'"):
        export(model)


@pytest.mark.parametrize(
    ("name", "value", "said"), [("n_frac", np.nan, "rounds to nan"), ("threshold_w", np.inf, "inf")]
)
def test_broken_training(name: str, value: float, said: str) -> None:
    from sparse_qonnx.export import export

    model = sparse_model(lambda x, _: flat(x), reduce={"learn_n": True, "learn_threshold": True})
    getattr(model.get_layer("reduce"), name).assign(value)
    with pytest.raises(UnsupportedLayerError, match=f"layer 'reduce'.*{said}"):
        export(model)


def test_weights_on_no_grid() -> None:
    from hgq.layers import QDense
    from hgq.quantizer.config import QuantizerConfig

    from sparse_qonnx.export import export

    dummy = QuantizerConfig("dummy", "weight")
    model = sparse_model(lambda x, _: QDense(2, kq_conf=dummy, name="dense1")(flat(x)))
    with pytest.raises(PrecisionError, match=r"weights 'dense1.kernel'.*give the layer a quantizer"):
        export(model)


def test_unwritable_output(tmp_path: Path) -> None:
    from sparse_qonnx.export import export

    model = sparse_model(lambda x, _: flat(x))
    with pytest.raises(OutputPathError, match="missing"):
        export(model, tmp_path / "missing" / "m.onnx", "ap_fixed<10,6>")
    assert issubclass(OutputPathError, SparseQonnxError)
