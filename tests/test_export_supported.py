"""Every layer that HGQ2 and sparsepixels offer is either exported or refused on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.keras
pytest.importorskip("keras")

REFUSED = {
    "QDot": "a product of two data tensors summed",
    "QEinsum": "a product of two data tensors summed",
    "QLinformerAttention": "attention",
    "QLinformerAttentionT": "attention",
    "QMultiHeadAttention": "attention",
    "QMultiHeadAttentionT": "attention",
    "QSimpleRNN": "recurrent",
    "QGRU": "recurrent",
    "QSimpleSNNCell": "spiking",
    "QLIFCell": "spiking",
    "QSimpleSNN": "spiking",
    "QLIF": "spiking",
    "QDenseT": "trained tables",
    "QEinsumDenseT": "trained tables",
    "QConvT1D": "trained tables",
    "QConvT2D": "trained tables",
}


def offered() -> Iterator[tuple[str, type[Any]]]:
    import hgq.layers
    import keras
    import sparsepixels.layers

    for name in hgq.layers.__all__:
        yield name, getattr(hgq.layers, name)
    for name, value in vars(sparsepixels.layers).items():
        ours = isinstance(value, type) and value.__module__ == "sparsepixels.layers"
        if ours and issubclass(value, keras.layers.Layer):
            yield name, value


def test_every_layer_is_decided() -> None:
    from sparse_qonnx.export.registry import find_handler

    missing = {name for name, cls in offered() if find_handler(cls) is None}
    assert missing == set(REFUSED)


def test_handlers_serve_classes_that_exist() -> None:
    """A dotted name that no installed release has would be a handler nobody can reach."""
    import importlib

    from sparse_qonnx.export.registry import registered

    for name in registered():
        module, _, attribute = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), attribute, None), type), name


def test_jax_and_tensorflow_export_the_same_file(tmp_path: Any) -> None:
    import os
    import subprocess
    import sys

    pytest.importorskip("jax")
    from keras_models import sparse_model

    def body(x: Any, mask: Any) -> Any:
        import hgq.layers
        import keras
        import sparsepixels.layers

        x = sparsepixels.layers.QConv2DSparse(2, 3, padding="same", activation="relu", name="conv")([x, mask])
        x = hgq.layers.QDense(4, name="dense")(keras.layers.Flatten(name="flatten")(x))
        return hgq.layers.QSoftmax(name="softmax")(x)

    sparse_model(body).save(tmp_path / "m.keras")
    script = "import sys; from sparse_qonnx.export import export; export(sys.argv[1], sys.argv[2], 'ap_fixed<10,6>')"
    for backend in ("tensorflow", "jax"):
        command = [sys.executable, "-c", script, str(tmp_path / "m.keras"), str(tmp_path / f"{backend}.onnx")]
        subprocess.run(command, check=True, env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"})
    assert (tmp_path / "tensorflow.onnx").read_bytes() == (tmp_path / "jax.onnx").read_bytes()
