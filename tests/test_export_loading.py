"""Saved models: today's sparsepixels serialization, safe mode, damaged files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_models import events, randomize, sparse_model
from sparse_qonnx.errors import ModelFileError

pytestmark = pytest.mark.keras
keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def model() -> Any:
    from hgq.config import QuantizerConfigScope
    from hgq.layers import QDense
    from hgq.quantizer import Quantizer
    from hgq.quantizer.config import QuantizerConfig
    from sparsepixels.layers import AveragePooling2DSparse, MaxPooling2DSparse, QConv2DSparse

    def body(x: Any, mask: Any) -> Any:
        with QuantizerConfigScope(place="datalane", overflow_mode="SAT", round_mode="RND_CONV"):
            x = QConv2DSparse(3, (3, 2), padding="same", activation="relu", enable_oq=True, name="conv1")([x, mask])
        x, mask = AveragePooling2DSparse((2, 1), name="pool1")([x, mask])
        bias = QuantizerConfig("kif", "bias", overflow_mode="SAT")
        x = QConv2DSparse(2, 3, padding="same", dilation_rate=2, bq_conf=bias, name="conv2")([x, mask])
        x = Quantizer(QuantizerConfig("kbi", "datalane", overflow_mode="SAT_SYM"), name="q")(x)
        x, mask = MaxPooling2DSparse(2, name="pool2")([x, mask])
        x = QConv2DSparse(2, 3, padding="same", use_bias=False, name="conv3")([x, mask])
        x = keras.layers.Flatten(name="flatten")(x)
        return QDense(4, activation="softmax", name="dense1")(x)

    reduce = {"learn_n": True, "learn_threshold": True, "threshold": 0.1}
    made = sparse_model(body, reduce=reduce)
    made.get_layer("reduce").n_frac.assign(0.7)
    return made


def test_saved_model_exports_the_same_file(model: Any, tmp_path: Path) -> None:
    from sparse_qonnx.export import export
    from sparse_qonnx.export.loading import load_model

    path = tmp_path / "m.keras"
    model.save(path)
    loaded = load_model(path)
    assert len(loaded.variables) == len(model.variables)
    for a, b in zip(model.variables, loaded.variables, strict=True):
        assert np.array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b)), a.path
    x = events()
    assert np.array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))
    want = export(model, None, "ap_fixed<10,6>")
    assert export(path, None, "ap_fixed<10,6>").SerializeToString() == want.SerializeToString()
    assert export(str(path), tmp_path / "m.onnx", "ap_fixed<10,6>") == want
    assert (tmp_path / "m.onnx").is_file()


def test_weights_file(model: Any, tmp_path: Path) -> None:
    from sparse_qonnx.export import export
    from sparse_qonnx.export.loading import load_weights

    path = tmp_path / "m.weights.h5"
    model.save_weights(path)

    def build() -> Any:
        other = keras.models.clone_model(model, clone_function=_clone)
        randomize(other, 99)
        return other

    assert export(path, None, "ap_fixed<10,6>", builder=build) == export(model, None, "ap_fixed<10,6>")
    loaded = load_weights(build, path)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        assert np.array_equal(a, b)
    with pytest.raises(ModelFileError, match="Keras cannot read it"):
        load_weights(lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), path)
    with pytest.raises(ModelFileError, match="does not exist"):
        load_weights(build, tmp_path / "none.weights.h5")


def test_builder_by_name(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sparse_qonnx.errors import ConfigurationError
    from sparse_qonnx.export.loading import load_weights

    small = "import keras\n\ndef build():\n    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])\n"
    (tmp_path / "own_models.py").write_text(small + "\nnumber = 3\n\ndef nothing():\n    return None\n")
    monkeypatch.chdir(tmp_path)
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights("d.weights.h5")
    assert load_weights("own_models:build", "d.weights.h5").count_params() == 8
    for place, said in (
        ("own_models", "names no function"),
        ("no_such_module:build", "cannot be imported"),
        ("own_models:number", "has no function 'number'"),
        ("own_models:nothing", "returns NoneType"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            load_weights(place, "d.weights.h5")


def _clone(layer: Any) -> Any:
    from sparse_qonnx.export.loading import build_conv

    if type(layer).__name__ == "QConv2DSparse":
        return build_conv(layer.get_config())
    return type(layer).from_config(layer.get_config())


def test_safe_mode(tmp_path: Path) -> None:
    from sparse_qonnx.export.loading import load_model

    def body(x: Any, _: Any) -> Any:
        return keras.layers.Lambda(lambda v: v * 2, name="code")(keras.layers.Flatten(name="flatten")(x))

    path = tmp_path / "m.keras"
    sparse_model(body).save(path)
    with pytest.raises(ModelFileError, match="safe_mode=False"):
        load_model(path)
    assert load_model(path, safe_mode=False).get_layer("code") is not None


def test_lambda_inside_a_convolution_is_never_run(tmp_path: Path) -> None:
    """sparsepixels saves its code without saying that it is code; Keras then finds no such activation."""
    from sparsepixels.layers import QConv2DSparse

    from sparse_qonnx.export.loading import load_model

    def body(x: Any, mask: Any) -> Any:
        x = QConv2DSparse(2, 3, padding="same", activation=lambda v: v * 2, name="conv1")([x, mask])
        return keras.layers.Flatten(name="flatten")(x)

    path = tmp_path / "m.keras"
    sparse_model(body).save(path)
    for safe in (True, False):
        with pytest.raises(ModelFileError, match="Could not interpret activation"):
            load_model(path, safe_mode=safe)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    from sparse_qonnx.export.loading import load_model

    with pytest.raises(ModelFileError, match=r"none\.keras.*does not exist"):
        load_model(tmp_path / "none.keras")
    text = tmp_path / "text.keras"
    text.write_text("no archive")
    with pytest.raises(ModelFileError, match="is not a Keras archive"):
        load_model(text)
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("readme", "nothing")
    with pytest.raises(ModelFileError, match="Keras cannot read it"):
        load_model(tmp_path / "empty.keras")


def test_damaged_archive(model: Any, tmp_path: Path) -> None:
    from sparse_qonnx.export.loading import load_model

    path = tmp_path / "m.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["model.weights.h5"] = parts["model.weights.h5"][:1000]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    with pytest.raises(ModelFileError, match="is not a Keras archive that is whole"):
        load_model(path)
