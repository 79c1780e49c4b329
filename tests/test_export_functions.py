"""Functions of `keras.ops`, and layers that move values: exact wherever they stand, firmware included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import KERNELS
from keras_models import assert_exact, events, sparse_model
from sparse_qonnx.errors import UnsupportedLayerError
from sparse_qonnx.export import export
from sparse_qonnx.export.freeze import reference_outputs
from sparse_qonnx.passes.infer_grids import infer_grids
from sparse_qonnx.runtime import run_tensors

pytestmark = pytest.mark.keras
keras = pytest.importorskip("keras")
L, ops = keras.layers, keras.ops
SHAPE = (4, 6, 2)

Function = Callable[[Any], Any]


def dense(units: int, name: str = "after") -> Any:
    from hgq.layers import QDense

    return QDense(units, name=name)


def model_of(function: Function, behind: bool = True) -> Any:
    """A sparse map as an image, the function of it, and a dense layer that quantizes what it gives."""

    def body(x: Any, _: Any) -> Any:
        result = function(L.Reshape(SHAPE, name="image")(x))
        return dense(3)(L.Flatten(name="flat")(result)) if behind else result

    return sparse_model(body, SHAPE)


def assert_everywhere(model: Any, x: Any = None) -> Any:
    """Exact in NumPy and onnxruntime as Keras has it, natively too, and on grids throughout."""
    x = events(SHAPE) if x is None else x
    proto = assert_exact(model, x)
    name = proto.graph.output[0].name
    assert infer_grids(proto).grids[name] is not None
    found = [run_tensors(proto, {"x_in": x}, [name], kernels=kernels)[name] for kernels in KERNELS]
    assert all(np.array_equal(found[0], other) for other in found)
    return proto


def flat_image(x: Any) -> Any:
    return ops.reshape(x, (-1, 48))


MOVES: dict[str, Function] = {
    "concatenate": lambda x: ops.concatenate([x, x], axis=1),
    "reshape": lambda x: ops.reshape(x, (-1, 6, 8)),
    "slice": lambda x: x[:, 1:],
    "slice everywhere": lambda x: x[:, ::-1, 1:5:2, 0],
    "slice with a new axis": lambda x: x[:, None, ..., 1],
    "split": lambda x: ops.split(x, 2, axis=2)[1],
    "unstack": lambda x: ops.unstack(x, axis=1)[2],
    "transpose": lambda x: ops.transpose(x, (0, 3, 1, 2)),
    "swapaxes": lambda x: ops.swapaxes(x, 1, 2),
    "moveaxis": lambda x: ops.moveaxis(x, 3, 1),
    "pad": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0))),
    "pad with a number": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), constant_values=0.5),
    "pad by reflection": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), mode="reflect"),
    "flip": lambda x: ops.flip(x, axis=1),
    "roll": lambda x: ops.roll(x, 1, axis=2),
    "rot90": lambda x: ops.rot90(x, axes=(1, 2)),
    "stack": lambda x: ops.stack([x, -x], axis=1),
    "squeeze": lambda x: ops.squeeze(x[:, :1], axis=1),
    "expand_dims": lambda x: ops.expand_dims(x, 1),
    "take": lambda x: ops.take(x, [0, 2, 1], axis=1),
    "repeat": lambda x: ops.repeat(x, 2, axis=1),
    "tile": lambda x: ops.tile(x, (1, 2, 1, 1)),
    "einsum": lambda x: ops.einsum("bijk->bkij", x),
    "Cropping1D": lambda x: L.Cropping1D((1, 1))(L.Reshape((6, 8))(x)),
    "Cropping2D": lambda x: L.Cropping2D(((1, 0), (2, 1)))(x),
    "ZeroPadding1D": lambda x: L.ZeroPadding1D(1)(L.Reshape((6, 8))(x)),
    "ZeroPadding2D": lambda x: L.ZeroPadding2D((1, 2))(x),
    "UpSampling1D": lambda x: L.UpSampling1D(2)(L.Reshape((6, 8))(x)),
    "UpSampling2D": lambda x: L.UpSampling2D(2)(x),
    "RepeatVector": lambda x: L.RepeatVector(3)(L.Flatten()(x)),
    "Permute": lambda x: L.Permute((3, 1, 2))(x),
    "Lambda": lambda x: L.Lambda(lambda t: t[..., ::-1])(x),
}

WITHOUT_FIRMWARE: dict[str, Function] = {
    "where": lambda x: ops.where(x > 0.5, x, -1.0),
    "greater": lambda x: ops.cast(x > 0.5, "float32"),
    "sign": ops.sign,
    "floor": ops.floor,
    "max_pool": lambda x: L.MaxPooling2D(2, strides=1, padding="same")(x),
}

ARITHMETIC: dict[str, Function] = {
    "relu": ops.relu,
    "relu6": ops.relu6,
    "hard_tanh": ops.hard_tanh,
    "leaky_relu": lambda x: ops.leaky_relu(x, 0.25),
    "maximum": lambda x: ops.maximum(x, 0.5),
    "maximum of two": lambda x: ops.maximum(x, ops.flip(x, 1)),
    "minimum": lambda x: ops.minimum(-0.25, x),
    "abs": ops.abs,
    "clip": lambda x: ops.clip(x, -0.5, 0.75),
    "sum": lambda x: ops.sum(x, axis=(1, 2)),
    "mean": lambda x: ops.mean(x, axis=-1),
    "max": lambda x: ops.max(x, axis=1, keepdims=True),
    "min": lambda x: ops.min(x, axis=1),
    "add": lambda x: x + 0.5,
    "multiply": lambda x: 0.375 * x,
    "multiply channels": lambda x: x * np.float32([0.5, -1.25]),
    "divide": lambda x: x / 4,
    "negative": lambda x: -x,
    "subtract from": lambda x: 1 - x,
    "square": ops.square,
    "diff": lambda x: ops.diff(x, axis=1),
    "Rescaling": lambda x: L.Rescaling(0.25, offset=0.5)(x),
}


@pytest.mark.parametrize("case", [*MOVES, *ARITHMETIC, *WITHOUT_FIRMWARE])
def test_functions_are_exact(case: str) -> None:
    assert_everywhere(model_of((MOVES | ARITHMETIC | WITHOUT_FIRMWARE)[case]))


def test_moves_are_said_in_plain_operators() -> None:
    wanted = {"flip": ["Slice"], "pad": ["Pad"], "take": ["Gather"], "UpSampling2D": ["Gather", "Gather"]}
    for case, expected in wanted.items():
        proto = assert_exact(model_of(MOVES[case], behind=False), events(SHAPE))
        assert [node.op_type for node in proto.graph.node][3:] == expected, case


PIXELS: dict[str, Function] = {
    "relu": ops.relu,
    "abs": ops.abs,
    "negative": lambda x: -x,
    "square": ops.square,
    "clip": lambda x: ops.clip(x, -0.5, 0.75),
    "multiply": lambda x: x * 0.5,
    "multiply channels": lambda x: ops.multiply(np.float32([0.5, -2.0]), x),
    "maximum": lambda x: ops.maximum(x, -0.5),
    "add": lambda x: x + 0.5,
    "subtract from": lambda x: 1 - x,
    "leaky_relu": lambda x: ops.leaky_relu(x, 0.25),
    "cast": lambda x: ops.cast(x, "float32"),
}


@pytest.mark.parametrize("case", PIXELS)
def test_functions_of_pixels_stay_on_pixels(case: str) -> None:
    from sparsepixels.layers import QConv2DSparse

    def body(x: Any, mask: Any) -> Any:
        return L.Flatten()(QConv2DSparse(2, 3, padding="same", name="conv")([PIXELS[case](x), mask]))

    proto = assert_everywhere(sparse_model(body, SHAPE))
    assert "SparseToDense" not in [node.op_type for node in proto.graph.node][:-2]


IMAGES: dict[str, Function] = {
    "sum": lambda x: ops.sum(x, axis=(1, 2)),
    "max": lambda x: ops.max(x, axis=(1, 2)),
    "slice": lambda x: L.Flatten()(x[:, 1:]),
    "maximum above 0": lambda x: L.Flatten()(ops.clip(x, 0.25, 0.75)),
    "crop": lambda x: L.Flatten()(L.Cropping2D(1)(x)),
}


@pytest.mark.parametrize("case", IMAGES)
def test_functions_of_images_read_a_sparse_map_as_one(case: str) -> None:
    assert_everywhere(sparse_model(lambda x, _: dense(2)(IMAGES[case](x)), SHAPE))


def test_what_interpolates_is_no_move() -> None:
    """A ramp of numbers looks alike to both."""
    x, between = events(SHAPE), {"interpolation": "bilinear", "name": "between"}
    proto = export(model_of(lambda x: L.UpSampling2D(2, **between)(x), behind=False), None, "ap_fixed<10,6>")
    assert infer_grids(proto).grids["between"] is None
    want = reference_outputs(model_of(lambda x: L.UpSampling2D(2, **between)(x), behind=False), x)["between"]
    np.testing.assert_allclose(run_tensors(proto, {"x_in": x}, ["between"])["between"], want, atol=1e-6)


def test_what_moves_events_is_no_move() -> None:
    with pytest.raises(UnsupportedLayerError, match="floating-point results of 'flip"):
        assert_exact(model_of(lambda x: ops.flip(x, axis=0)), events(SHAPE))


def test_numbers_on_no_grid_leave_it() -> None:
    with pytest.raises(UnsupportedLayerError, match=r"'after' \(QDense\): computes with the floating-point results of"):
        assert_exact(model_of(lambda x: x * 0.1), events(SHAPE))
    with pytest.raises(UnsupportedLayerError, match=r"0\.1, which is on no grid"):
        assert_exact(sparse_model(lambda x, _: L.Flatten()(x * 0.1), SHAPE), events(SHAPE))
    grids = infer_grids(
        assert_exact(model_of(lambda x: L.Rescaling(0.1, name="tenth")(x), behind=False), events(SHAPE))
    ).grids
    assert grids["tenth"] is None


def test_layers_with_weights_on_a_grid_are_exact() -> None:
    model = model_of(lambda x: L.Dense(2, name="floating")(L.Flatten()(x)))
    floating = model.get_layer("floating")
    floating.set_weights([np.round(w * 8) / 8 for w in floating.get_weights()])
    assert_everywhere(model)


# ---- places of the largest value ------------------------------------------------------------------------------------

PLACES: dict[str, Function] = {
    "argmax": lambda x: ops.argmax(flat_image(x), axis=-1),
    "argmin": lambda x: ops.argmin(flat_image(x), axis=-1),
    "argmax over rows": lambda x: ops.argmax(x, axis=1),
    "argmax with its axis": lambda x: ops.argmax(x, axis=-2, keepdims=True),
    "argmax of zeros with signs": lambda x: ops.argmax(ops.concatenate([-x, x], axis=1), axis=1),
    "argmax of averages": lambda x: ops.argmax(ops.mean(x, axis=2), axis=1),
    "argmax as a float": lambda x: ops.cast(ops.argmax(x, axis=1), "float32"),
    "argmax and more": lambda x: ops.argmax(x, axis=1) * 2,
    "argmax, reshaped": lambda x: ops.reshape(ops.argmax(x, axis=1), (-1, 12)),
}


@pytest.mark.parametrize("case", PLACES)
def test_places_are_exact_and_ties_go_to_the_first(case: str) -> None:
    """Events are empty to full: most of the values of most of them are 0, and equal."""
    assert_everywhere(model_of(PLACES[case], behind=False))


def test_a_place_is_an_integer() -> None:
    model = model_of(PLACES["argmax"], behind=False)
    proto = assert_everywhere(model)
    (name,) = [o.name for o in proto.graph.output]
    assert run_tensors(proto, {"x_in": events(SHAPE)}, [name])[name].dtype == np.int64


def test_the_largest_event_is_refused() -> None:
    with pytest.raises(UnsupportedLayerError, match="compares events with each other"):
        assert_exact(model_of(lambda x: ops.argmax(x, axis=0), behind=False), events(SHAPE))


# ---- firmware -------------------------------------------------------------------------------------------------------


@pytest.mark.csim
def test_firmware_of_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sparse_qonnx.hls import to_hls

    monkeypatch.setenv("CXXFLAGS", "-O0")
    functions = {**MOVES, **ARITHMETIC, **PLACES}
    model = model_of(lambda x: [function(x) for function in functions.values()], behind=False)
    proto, x = export(model, None, "ap_fixed<10,6>"), events(SHAPE)
    project = to_hls(proto, tmp_path / "firmware")
    names = [output.name for output in proto.graph.output]
    wanted = run_tensors(proto, {"x_in": x}, names)
    for name, found in zip(names, project.predict(x), strict=True):
        assert found.dtype == wanted[name].dtype, name
        assert np.array_equal(found, wanted[name]), name
