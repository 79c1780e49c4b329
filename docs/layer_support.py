"""docs/layers.md, made by exporting one small model a row: what is exact, what has firmware, what is refused and why.

`python docs/layer_support.py` writes the file; a test makes it anew and compares.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import sparse_qonnx as sq
from sparse_qonnx.errors import SparseQonnxError
from sparse_qonnx.graph import all_values
from sparse_qonnx.passes.infer_grids import infer_grids, input_types
from sparse_qonnx.runtime import run_tensors

TARGET = Path(__file__).resolve().parent / "layers.md"
SHAPE = (6, 6, 2)
FLOAT_TOLERANCE = 1e-5  # float32 heads and layers: each runtime has its own exponential and order of sums

HEADER = """# Layers

Each row is a small model that was exported, run, compared with Keras and turned into firmware when this page was made
(`python docs/layer_support.py`; a test makes it anew).

- **exact**: every value that Keras gives (as deployed, float64 where the file asks for it) equals onnxruntime's.
- **float**: floating point behind the exact part; agrees to a few units in the last place.
- **firmware**: `qonnx-to-hls` writes a project for it; otherwise it names the node it has no hardware for.
"""


@dataclass(frozen=True)
class Feeds:
    """What a row's layer can be put on: tensors of one event with a sparse map of 6 pixels."""

    source: Any
    x: Any
    mask: Any

    def image(self) -> Any:
        """A dense image `[6, 6, 2]`."""
        import keras

        return keras.layers.Reshape(SHAPE, name="image")(self.x)

    def sequence(self) -> Any:
        """A dense sequence `[6, 12]`."""
        import keras

        return keras.layers.Reshape((6, 12), name="sequence")(self.x)

    def volume(self) -> Any:
        """A dense volume `[6, 6, 2, 1]`."""
        import keras

        return keras.layers.Reshape((6, 6, 2, 1), name="volume")(self.x)

    def vector(self, name: str = "vector", units: int = 4) -> Any:
        """A dense vector on a grid."""
        import hgq.layers
        import keras

        flat = keras.layers.Flatten(name=f"{name}_flatten")(self.x)
        return hgq.layers.QDense(units, enable_oq=True, name=name)(flat)

    def pair(self) -> list[Any]:
        """Two dense vectors."""
        return [self.vector("a"), self.vector("b")]


Row = Callable[[Feeds], Any]


def rows() -> Iterator[tuple[str, str, Row]]:
    """(package, layer, what to build): the layer under test bears the name `layer`."""
    import hgq.layers
    import keras
    import sparsepixels.layers

    name = {"name": "layer"}
    for package, module, entries in (
        ("sparsepixels", sparsepixels.layers, _SPARSE),
        ("HGQ2", hgq.layers, _HGQ),
        ("Keras", keras.layers, _KERAS),
    ):
        for title, (feed, arguments) in entries.items():
            class_name = title.split(" ")[0]
            layer = getattr(module, class_name)

            def build(feeds: Feeds, layer: Any = layer, feed: Any = feed, arguments: Any = arguments) -> Any:
                result = layer(**arguments, **name)(feed(feeds))
                return result[0] if isinstance(result, (tuple, list)) else result

            yield package, f"`{class_name}`{title[len(class_name) :]}", build
    for title, build in _functions():
        yield (
            "keras.ops",
            f"`{title}`"
            if "x" in (title[0], title.partition("(")[2][:1])
            else ", ".join(_as_code(t) for t in title.split(", ")),
            build,
        )


def _as_code(title: str) -> str:
    name, space, rest = title.partition(" ")
    return f"`{name}`{space}{rest}"


def _pixels(feeds: Feeds) -> Any:
    return feeds.x


def _masked(feeds: Feeds) -> Any:
    return [feeds.x, feeds.mask]


_IMAGE, _SEQUENCE, _VOLUME, _VECTOR, _PAIR = Feeds.image, Feeds.sequence, Feeds.volume, Feeds.vector, Feeds.pair

Entries = dict[str, tuple[Callable[[Feeds], Any], dict[str, Any]]]

_SPARSE: Entries = {
    "InputReduce": (lambda f: f.source, {"n": 6, "learn_n": False, "learn_threshold": False}),
    "InputReduce (learned)": (lambda f: f.source, {"n": 6}),
    "QConv2DSparse": (_masked, {"filters": 2, "kernel_size": 3, "padding": "same"}),
    "QConv2DSparse (even kernel, dilation)": (
        _masked,
        {"filters": 2, "kernel_size": (2, 4), "dilation_rate": 2, "padding": "same"},
    ),
    "QConv2DSparse (activation relu)": (
        _masked,
        {"filters": 2, "kernel_size": 3, "padding": "same", "activation": "relu"},
    ),
    "QConv2DSparse (padding valid)": (_masked, {"filters": 2, "kernel_size": 3, "padding": "valid"}),
    "AveragePooling2DSparse": (_masked, {"pool_size": 2}),
    "AveragePooling2DSparse (3 x 3)": (_masked, {"pool_size": 3}),
    "MaxPooling2DSparse": (_masked, {"pool_size": (2, 3)}),
    "MaxPooling2DSparse (strides)": (_masked, {"pool_size": 2, "strides": 1}),
    "RemoveDilatedPixels": (_masked, {}),
}

_HGQ: Entries = {
    "Quantizer": (_pixels, {}),
    "QDense": (_VECTOR, {"units": 3}),
    "QBatchNormDense": (_VECTOR, {"units": 3}),
    "QEinsumDense": (_SEQUENCE, {"equation": "bij,jk->bik", "output_shape": (6, 3)}),
    "QEinsumDenseBatchnorm": (_SEQUENCE, {"equation": "bij,jk->bik", "output_shape": (6, 3), "bias_axes": "k"}),
    "QBatchNormalization": (_VECTOR, {}),
    "QConv1D": (_SEQUENCE, {"filters": 2, "kernel_size": 3}),
    "QConv2D": (_IMAGE, {"filters": 2, "kernel_size": 3}),
    "QConv3D": (_VOLUME, {"filters": 2, "kernel_size": 2}),
    "QAdd": (_PAIR, {}),
    "QSubtract": (_PAIR, {}),
    "QMultiply": (_PAIR, {}),
    "QMaximum": (_PAIR, {}),
    "QMinimum": (_PAIR, {}),
    "QAveragePow2": (_PAIR, {}),
    "QSum": (_SEQUENCE, {"axes": -1}),
    "QMeanPow2": (_SEQUENCE, {"axes": -1}),
    "QUnaryFunctionLUT": (_VECTOR, {"activation": "tanh"}),
    "QAffinedUnaryFunctionLUT": (_VECTOR, {"activation": "tanh"}),
    "QSoftmax": (_VECTOR, {}),
    "QAveragePooling1D": (_SEQUENCE, {"pool_size": 2}),
    "QAveragePooling2D": (_IMAGE, {"pool_size": 2}),
    "QAveragePooling3D": (_VOLUME, {"pool_size": 2}),
    "QMaxPooling1D": (_SEQUENCE, {"pool_size": 2}),
    "QMaxPooling2D": (_IMAGE, {"pool_size": 2}),
    "QMaxPooling3D": (_VOLUME, {"pool_size": 2}),
    "QGlobalAveragePooling1D": (_SEQUENCE, {}),
    "QGlobalAveragePooling2D": (_IMAGE, {}),
    "QGlobalAveragePooling3D": (_VOLUME, {}),
    "QGlobalMaxPooling1D": (_SEQUENCE, {}),
    "QGlobalMaxPooling2D": (_IMAGE, {}),
    "QGlobalMaxPooling3D": (_VOLUME, {}),
    "QMultiHeadAttention": (lambda f: f.sequence(), {"num_heads": 1, "key_dim": 2}),
    "QSimpleRNN": (_SEQUENCE, {"units": 3}),
    "QGRU": (_SEQUENCE, {"units": 3}),
    "QDenseT": (_VECTOR, {"n_out": 3}),
}

_KERAS: Entries = {
    "Activation (relu, on pixels)": (_pixels, {"activation": "relu"}),
    "Activation (sigmoid, on pixels)": (_pixels, {"activation": "sigmoid"}),
    "Activation (sigmoid, last)": (_VECTOR, {"activation": "sigmoid"}),
    "Softmax": (_VECTOR, {}),
    "ReLU": (_pixels, {}),
    "ReLU (max_value)": (_pixels, {"max_value": 1.5}),
    "LeakyReLU (0.25)": (_pixels, {"negative_slope": 0.25}),
    "LeakyReLU (0.3)": (_pixels, {"negative_slope": 0.3}),
    "Flatten": (_pixels, {}),
    "Reshape": (_pixels, {"target_shape": (6, 12)}),
    "Permute": (_IMAGE, {"dims": (2, 1, 3)}),
    "Dropout": (_pixels, {"rate": 0.5}),
    "Add": (lambda f: [f.x, f.x], {}),
    "Concatenate": (lambda f: [f.x, f.x], {}),
    "Subtract": (_PAIR, {}),
    "Multiply": (_PAIR, {}),
    "Maximum": (_PAIR, {}),
    "Minimum": (_PAIR, {}),
    "Average": (_PAIR, {}),
    "Average (of three)": (lambda f: [*f.pair(), f.vector("c")], {}),
    "GlobalAveragePooling2D": (_pixels, {}),
    "GlobalMaxPooling2D": (_pixels, {}),
    "AveragePooling2D (on an image)": (_IMAGE, {"pool_size": 2}),
    "AveragePooling2D (windows of 3 x 5, same, overlapping)": (
        _IMAGE,
        {"pool_size": (3, 5), "strides": 2, "padding": "same"},
    ),
    "MaxPooling2D (on an image)": (_IMAGE, {"pool_size": 2}),
    "MaxPooling2D (partial windows)": (_IMAGE, {"pool_size": 4}),
    "MaxPooling2D (overlapping windows)": (_IMAGE, {"pool_size": 3, "strides": 1}),
    "MaxPooling2D (on pixels)": (_pixels, {"pool_size": 2}),
    "BatchNormalization (on pixels)": (_pixels, {}),
    "Conv2D (on pixels)": (_pixels, {"filters": 2, "kernel_size": 3}),
    "Cropping1D": (_SEQUENCE, {"cropping": 1}),
    "Cropping2D": (_IMAGE, {"cropping": 1}),
    "ZeroPadding1D": (_SEQUENCE, {"padding": 1}),
    "ZeroPadding2D": (_IMAGE, {"padding": 1}),
    "UpSampling1D": (_SEQUENCE, {"size": 2}),
    "UpSampling2D": (_IMAGE, {"size": 2}),
    "UpSampling2D (bilinear)": (_IMAGE, {"size": 2, "interpolation": "bilinear"}),
    "RepeatVector": (_VECTOR, {"n": 3}),
    "Rescaling (1/4)": (_IMAGE, {"scale": 0.25}),
    "Rescaling (1/255)": (_IMAGE, {"scale": 1 / 255}),
    "Dense": (_VECTOR, {"units": 3}),
    "LayerNormalization": (_VECTOR, {}),
    "LSTM": (_SEQUENCE, {"units": 3}),
}


def _functions() -> Iterator[tuple[str, Row]]:
    """Functions of `keras.ops` on an image `[B, 6, 6, 2]`; the last one of a row's calls is the layer under test."""
    from keras import ops

    written: dict[str, Callable[[Any], Any]] = {
        "x[:, 1:, ::-1]": lambda x: x[:, 1:, ::-1],
        "reshape, expand_dims, squeeze": lambda x: ops.squeeze(ops.expand_dims(ops.reshape(x, (-1, 36, 2)), 1), 1),
        "transpose, swapaxes, moveaxis": lambda x: ops.moveaxis(
            ops.swapaxes(ops.transpose(x, (0, 3, 1, 2)), 1, 2), 3, 1
        ),
        "concatenate, stack": lambda x: ops.stack([ops.concatenate([x, x], 1)] * 2, 1),
        "split, unstack": lambda x: ops.unstack(ops.split(x, 2, 1)[0], axis=1)[2],
        "flip, roll, rot90": lambda x: ops.rot90(ops.roll(ops.flip(x, 1), 1, 2), axes=(1, 2)),
        "pad": lambda x: ops.pad(x, ((0, 0), (1, 0), (0, 1), (0, 0)), constant_values=0.5),
        "take, repeat, tile": lambda x: ops.tile(ops.repeat(ops.take(x, [2, 0], 1), 2, 1), (1, 1, 2, 1)),
        "relu, relu6, leaky_relu (0.25), hard_tanh": lambda x: ops.hard_tanh(ops.leaky_relu(ops.relu6(x - 1), 0.25)),
        "abs, negative, square": lambda x: ops.square(ops.abs(-x)),
        "maximum, minimum, clip": lambda x: ops.clip(ops.maximum(ops.minimum(x, 2), -2), -1, 1.5),
        "x + 0.5, x - 0.5, x * 0.75, x / 4": lambda x: (x + 0.5) * 0.75 / 4 - 0.5,
        "x * 0.1": lambda x: x * 0.1,
        "sum, max, min": lambda x: ops.min(ops.max(ops.sum(x, -1), -1, keepdims=True), -1),
        "mean (of a power of two)": lambda x: ops.mean(x, -1),
        "argmax, argmin": lambda x: ops.argmax(ops.reshape(x, (-1, 72)), -1),
        "where(x > 0.5, x, -1)": lambda x: ops.where(x > 0.5, x, -1.0),
        "sign, floor": lambda x: ops.floor(x) * ops.sign(x),
        "exp": ops.exp,
    }
    for title, function in written.items():
        yield title, lambda feeds, function=function: function(feeds.image())


def outcome(build: Row, folder: Path) -> tuple[str, str]:
    """What becomes of one row: (exported, firmware)."""
    import keras
    from hgq.config import QuantizerConfigScope
    from sparsepixels.layers import InputReduce

    from sparse_qonnx.export.freeze import reference_outputs

    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    source = keras.Input(SHAPE, name="x")
    with QuantizerConfigScope(place="datalane", i0=3, f0=3):
        feeds = Feeds(source, *InputReduce(n=6, learn_n=False, learn_threshold=False, name="reduce")(source))
        try:
            model = keras.Model(source, build(feeds))
        except Exception as error:  # whatever Keras says when it cannot build the layer itself
            return f"Keras cannot build it: {type(error).__name__}", ""
    precision = "ap_fixed<7,4>"
    try:
        proto = sq.export(model, input_precision=precision)
    except SparseQonnxError as error:
        return f"refused: {error.problem}", ""
    kind = next(iter(input_types(proto).values()))
    x = np.random.default_rng(0).integers(-64, 64, (16, *SHAPE)) / 8 * (np.arange(16) > 0)[:, None, None, None]
    x = kind.quantize(x.astype(np.float32))
    float64 = any(p.key == "sparse_qonnx.arithmetic" and p.value == "float64" for p in proto.metadata_props)
    reference = reference_outputs(model, x, float64=float64)
    got = run_tensors(proto, {"x": x}, [name for name in reference if name in all_values(proto)])
    grids = infer_grids(proto).grids
    exported = "exact"
    for name, value in got.items():
        want = reference[name].astype(value.dtype)
        on_grid = value.dtype.kind == "i" or grids.get(name) is not None
        if not (np.array_equal(want, value) if on_grid else np.allclose(want, value, atol=FLOAT_TOLERANCE)):
            return "DIFFERS", ""
        exported = exported if on_grid else "float"
    return exported, _firmware(proto, folder)


def _firmware(proto: Any, folder: Path) -> str:
    try:
        sq.to_hls(proto, folder / "firmware", force=True)
    except SparseQonnxError as error:
        op_type = re.search(r"\((\w+)\)$", error.where)  # names of converted nodes depend on what ran before
        return f"no: {op_type.group(1) if op_type else error.where}"
    return "yes"


def page() -> str:
    """The whole text of docs/layers.md."""
    lines = [HEADER]
    package = ""
    with tempfile.TemporaryDirectory() as folder:
        for where, title, build in rows():
            if where != package:
                package = where
                lines += [f"## {package}", "", "| layer | export | firmware |", "|---|---|---|"]
            exported, firmware = outcome(build, Path(folder))
            lines.append(f"| {title} | {exported} | {firmware} |")
            print(lines[-1], file=sys.stderr)
    return "\n".join(lines).replace("\n## ", "\n\n## ") + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
