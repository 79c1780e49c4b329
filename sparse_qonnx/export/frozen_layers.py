"""A Keras model computing as it is deployed.

Frozen means: the learned budget and threshold select as the forward pass does at inference, with a mask of exact zeros
and ones (sparsepixels' learned mask is `soft + (hard - soft)`, which is neither in floating point), nothing in the
model is written to, and no loss is formed. Everything else is Keras's own code, in float32 or rebuilt in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.errors import ToolError
from sparse_qonnx.export.handlers.input_reduce import budget, threshold
from sparse_qonnx.export.loading import build_conv
from sparse_qonnx.export.quantizers import to_numpy
from sparse_qonnx.export.walk import Visit, walk

Array = NDArray[Any]


@contextmanager
def default_dtype(dtype: str) -> Iterator[None]:
    """Build layers in another floating-point type; Keras's settings are restored afterwards.

    `set_floatx` alone does not do it: Keras keeps the default policy of the first layer it ever built.
    """
    import keras

    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


_COMPARING = ("Argmax", "Argmin")
_MASKING = ("QConv2DSparse", "RemoveDilatedPixels")


class FrozenLayers:
    """The layers of a model as deployed, each made when it is first called.

    Args:
        float64: rebuild the layers in float64. Weights are quantized in the model's own precision all the same, so
            that both compute with the weights of the exported file.

    Raises:
        ToolError: the backend of Keras has no float64.
    """

    def __init__(self, float64: bool = False) -> None:
        self.float64 = float64
        self._copies: dict[int, Any] = {}
        if to_numpy(self.tensor(np.zeros(1))).dtype != (np.float64 if float64 else np.float32):
            raise ToolError(
                "Keras",
                "its backend computes in float32, but the exact values need float64",
                allowed="a backend with float64",
                fix="set JAX_ENABLE_X64=1, or KERAS_BACKEND=tensorflow",
            )

    def tensor(self, array: Array) -> Any:
        """An array as a tensor of Keras's backend."""
        import keras

        return keras.ops.convert_to_tensor(array, dtype="float64" if self.float64 else "float32")

    def call(self, visit: Visit) -> Any:
        """The results of one call."""
        if type(visit.operation).__name__ == "InputReduce":
            return self._reduce(visit.operation, to_numpy(visit.args[0]))
        layer = self._copy(visit) if self.float64 else visit.operation
        args = visit.args
        if type(layer).__name__ in _COMPARING:
            args = (args[0] + 0.0, *args[1:])  # Keras puts -0 below 0; a fixed-point number has one zero
        result = layer(*args, **visit.kwargs)
        return self._masked(result, visit.args[0][1]) if type(layer).__name__ in _MASKING else result

    def _masked(self, features: Any, mask: Any) -> Any:
        """Inactive pixels are 0: Keras multiplies by the mask, and NaN or infinity times 0 is NaN."""
        return self.tensor(np.where(to_numpy(mask) != 0, to_numpy(features), 0))

    def _reduce(self, layer: Any, image: Array) -> list[Any]:
        """The selection of `InputReduce.call`; pixels that are not kept become 0 whatever they hold."""
        active = image[..., 0] > np.asarray(threshold(layer), dtype=image.dtype)
        rank = active.reshape(len(image), -1).cumsum(axis=1).reshape(active.shape)
        keep = (active & (rank <= budget(layer)))[..., None]
        return [self.tensor(np.where(keep, image, 0)), self.tensor(keep)]

    def _copy(self, visit: Visit) -> Any:
        import keras

        layer = visit.operation
        if not isinstance(layer, keras.Layer):
            return layer
        if id(layer) not in self._copies:
            with default_dtype("float64"):
                copy = _rebuilt(layer)
                if isinstance(copy, keras.layers.AveragePooling3D):
                    _without_kernel(copy)
                copy(*visit.args, **visit.kwargs)  # builds it
            _share_weights(layer, copy)
            self._copies[id(layer)] = copy
        return self._copies[id(layer)]


def _without_kernel(layer: Any) -> None:
    """TensorFlow has no average of three dimensions in float64 on a CPU: NumPy forms it."""
    size, strides = tuple(layer.pool_size), tuple(layer.strides)

    def pooled(image: Array) -> Array:
        shape = tuple(int(n) for n in layer.compute_output_shape(image.shape)[1:])
        spans = list(zip(image.shape[1:4], shape[:3], size, strides, strict=True))
        padded = layer.padding == "same"
        before = [max((out - 1) * s + window - n, 0) // 2 if padded else 0 for n, out, window, s in spans]
        result = np.empty((len(image), *shape))
        for place in np.ndindex(*shape[:3]):
            corner = [p * s - b for p, s, b in zip(place, strides, before, strict=True)]
            part = tuple(slice(max(c, 0), c + window) for c, window in zip(corner, size, strict=True))
            result[(slice(None), *place)] = image[(slice(None), *part)].mean(axis=(1, 2, 3))
        return result

    def call(inputs: Any, training: bool | None = None) -> Any:  # noqa: ARG001  # Keras passes it
        import keras

        quantized = layer.iq(inputs) if getattr(layer, "enable_iq", False) else inputs
        return keras.ops.convert_to_tensor(pooled(to_numpy(quantized)))

    layer.call = call


def _rebuilt(layer: Any) -> Any:
    """The same layer, untrained, without a floating-point type of its own."""
    config = _without_dtype(layer.get_config())
    if type(layer).__name__ == "QConv2DSparse":
        return build_conv(config)
    return type(layer).from_config(config)


def _without_dtype(config: Any) -> Any:
    if isinstance(config, dict):
        return {key: _without_dtype(value) for key, value in config.items() if key != "dtype"}
    return [_without_dtype(item) for item in config] if isinstance(config, list) else config


def _share_weights(layer: Any, copy: Any) -> None:
    """Copy the variables; quantize weights through the original's quantizers."""
    for source, target in zip(layer.variables, copy.variables, strict=True):
        target.assign(to_numpy(source))
    for source, target in zip(layer._flatten_layers(), copy._flatten_layers(), strict=True):
        if type(source).__name__ in _TABLES:
            target.call = _table_call(source, target)
        for name in _FUSED:
            if hasattr(source, name):
                setattr(target, name, _borrowed(source, name))
        for name in ("_kq", "_bq"):
            if getattr(source, name, None) is not None:
                getattr(target, name).call = _through(getattr(source, name))


_TABLES = ("QUnaryFunctionLUT", "QAffinedUnaryFunctionLUT")
_FUSED = ("_scaler_and_offset", "get_fused_qkernel_and_qbias")
"""Methods of HGQ2's batch normalizations that compute weights from statistics."""


def table_function(layer: Any) -> Callable[[Any], Any]:
    """What a table layer of HGQ2 computes behind its input quantizer."""

    def compute(x: Any) -> Any:
        if type(layer).__name__ == "QAffinedUnaryFunctionLUT":
            x = x * layer.scale + layer.bias
        y = layer.activation(x)
        return layer.oq(y) if layer.enable_oq else y

    return compute


def _table_call(source: Any, target: Any) -> Callable[..., Any]:
    """A table's call: its input quantizer in float64, its entries as the file has them."""
    entries = _through(source, table_function(source))

    def call(inputs: Any, training: bool | None = None) -> Any:
        return entries(target.iq(inputs) if target.enable_iq else inputs, training)

    return call


def _through(layer: Any, function: Callable[[Any], Any] | None = None) -> Callable[..., Any]:
    """Compute with another layer, in that layer's floating-point type."""

    def call(inputs: Any, training: bool | None = None) -> Any:  # noqa: ARG001  # Keras passes it
        import keras

        narrow = keras.ops.cast(inputs, layer.compute_dtype)
        return keras.ops.cast((function or layer)(narrow), inputs.dtype)

    return call


def _borrowed(layer: Any, name: str) -> Callable[..., Any]:
    """A method of another layer that makes weights of statistics, in that layer's floating-point type."""

    def call(*statistics: Any) -> Any:
        import keras

        narrow = (p if isinstance(p, bool | None) else keras.ops.cast(p, layer.compute_dtype) for p in statistics)
        return tuple(keras.ops.cast(part, "float64") for part in getattr(layer, name)(*narrow))

    return call


class FrozenModel:
    """A Keras model as deployed, callable on arrays.

    Args:
        model: functional or Sequential model.
        float64: compute in float64.
    """

    def __init__(self, model: Any, float64: bool = False) -> None:
        self.model = model
        self.layers = FrozenLayers(float64)

    def __call__(self, *inputs: Array) -> list[Array]:
        """Outputs of the model as arrays, in its order; one array an input."""
        outputs = walk(self.model, [self.layers.tensor(x) for x in inputs], self.layers.call)
        return [to_numpy(value) for value in outputs]
