"""HGQ2's quantizers: every kind, mode and granularity, on sparse and dense tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from keras_models import assert_exact, events, randomize, sparse_model

pytestmark = pytest.mark.keras
keras = pytest.importorskip("keras")

ROUNDINGS = ["TRN", "RND", "RND_CONV", "TRN_ZERO", "RND_ZERO", "RND_MIN_INF", "RND_INF", "S_RND", "S_RND_CONV"]
OVERFLOWS = ["WRAP", "SAT", "SAT_SYM", "WRAP_SM"]
AXES: dict[str, dict[str, Any]] = {
    "element": {"homogeneous_axis": (0,)},
    "channel": {"heterogeneous_axis": (-1,)},
    "row": {"heterogeneous_axis": (1,)},
    "tensor": {"heterogeneous_axis": ()},
}


def config(place: str = "datalane", **arguments: Any) -> Any:
    from hgq.quantizer.config import QuantizerConfig

    return QuantizerConfig(arguments.pop("q_type", "kif"), place, **arguments)


def quantized(dense: bool = False, **arguments: Any) -> Any:
    """A model that quantizes features at pixels, or the image after Flatten."""
    from hgq.quantizer import Quantizer

    def body(x: Any, _: Any) -> Any:
        if dense:
            x = keras.layers.Flatten(name="flatten")(x)
            return Quantizer(config(**arguments), name="q")(x)
        return keras.layers.Flatten(name="flatten")(Quantizer(config(**arguments), name="q")(x))

    return sparse_model(body)


@pytest.mark.parametrize("overflow", OVERFLOWS)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_modes(rounding: str, overflow: str) -> None:
    if overflow == "WRAP_SM" and rounding not in ("RND", "RND_CONV", "S_RND", "S_RND_CONV"):
        pytest.skip("HGQ2 has WRAP_SM with RND and RND_CONV only")
    model = quantized(round_mode=rounding, overflow_mode=overflow)
    for seed in range(3):
        randomize(model, seed)
        assert_exact(model, events(seed=seed))


@pytest.mark.parametrize("axes", AXES.values(), ids=AXES.keys())
@pytest.mark.parametrize("kind", ["kif", "kbi"])
def test_granularity(kind: str, axes: dict[str, Any]) -> None:
    model = quantized(q_type=kind, **axes)
    for seed in range(2):
        randomize(model, seed)
        proto = assert_exact(model, events(seed=seed), qonnx=True)
    if "homogeneous_axis" in axes:
        node = next(n for n in proto.graph.node if n.name == "q")
        assert node.op_type == "FixedPointQuant"
        assert node.input[4] == "reduce.coords"


@pytest.mark.parametrize("kind", ["kif", "kbi"])
def test_dense_elements(kind: str) -> None:
    assert_exact(quantized(dense=True, q_type=kind), events())


def test_equal_widths_need_no_coordinates() -> None:
    model = quantized()
    for variable in model.get_layer("q").quantizer.variables:
        variable.assign(np.full(variable.shape, 1 if variable.name == "k" else 2))
    from sparse_qonnx.export.tracer import trace

    node = next(n for n in trace(model).graph.nodes if n.name == "q")
    assert len(node.input) == 4
    assert_exact(model, events())


def test_all_widths_zero() -> None:
    model = quantized()
    internal = model.get_layer("q").quantizer
    internal._k.assign(np.zeros(internal._k.shape))
    internal._f.assign(-np.round(internal._i))
    assert_exact(model, events())


def test_power_of_two_scaler() -> None:
    for scaler in (4.0, 0.25):
        assert_exact(quantized(scaler=scaler), events())


@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("rounding", ["RND", "RND_CONV"])
@pytest.mark.parametrize("kind", ["kif", "kbi"])
def test_wrapping_quantizers_marked_as_weights(kind: str, rounding: str, trainable: bool) -> None:
    """While trainable they only round, whatever the width says."""
    arguments = {"q_type": kind, "round_mode": rounding, "overflow_mode": "WRAP", "place": "weight"}
    model = quantized(**arguments, homogeneous_axis=(0,))
    model.get_layer("q").quantizer.trainable = trainable
    assert_exact(model, events())


@pytest.mark.parametrize("name", ["HardTanhConfig", "HardSigmoidConfig"])
def test_affine_quantizers_behind_the_sparse_part(name: str) -> None:
    import hgq.config
    from hgq.layers import QDense
    from hgq.quantizer import Quantizer

    def body(x: Any, _: Any) -> Any:
        make = getattr(hgq.config, name)
        x = Quantizer(make(), name="q")(keras.layers.Flatten(name="flatten")(x))
        return QDense(3, iq_conf=make(), enable_oq=True, oq_conf=make(), name="dense")(x)

    assert_exact(sparse_model(body), events())


def test_quantizer_before_the_reduction() -> None:
    from hgq.quantizer import Quantizer
    from sparsepixels.layers import InputReduce

    source = keras.Input((8, 7, 2), name="x_in")
    x, _ = InputReduce(n=6, learn_n=False, learn_threshold=False, name="reduce")(Quantizer(config(), name="q")(source))
    model = keras.Model(source, keras.layers.Flatten(name="flatten")(x))
    randomize(model, 0)
    assert_exact(model, events())


@pytest.mark.parametrize("round_mode", ["RND", "RND_CONV", "TRN"])
@pytest.mark.parametrize("overflow_mode", ["WRAP", "SAT", "SAT_SYM"])
def test_weight_quantizers(round_mode: str, overflow_mode: str) -> None:
    """Weights are evaluated by Keras, so that any quantizer will do."""
    from hgq.layers import QDense
    from sparsepixels.layers import QConv2DSparse

    conf = {"round_mode": round_mode, "overflow_mode": overflow_mode}

    def body(x: Any, mask: Any) -> Any:
        x = QConv2DSparse(
            2, 3, padding="same", name="conv", kq_conf=config("weight", **conf), bq_conf=config("bias", **conf)
        )([x, mask])
        x = keras.layers.Flatten(name="flatten")(x)
        return QDense(3, name="dense", kq_conf=config("weight", q_type="kbi", **conf), bq_conf=config("bias", **conf))(
            x
        )

    assert_exact(sparse_model(body), events())
