"""Random dense layers, behind the sparse part."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from fuzz.composer import KERNELS, Composer, Dense
from fuzz.quantizers import trained_widths
from fuzz.recipe import Layer

MERGES = ("QAdd", "QSubtract", "QMultiply", "QMaximum", "QMinimum", "QAveragePow2")


class DenseComposer(Composer):
    """Draws dense layers."""

    def joined(self, value: Dense, side: Dense) -> Dense:
        """A vector of the event beside what the image gives."""
        (x,) = self.call(self.layer("Concatenate", "joined"), value.name, side.name)
        return Dense(x, (value.shape[0] + side.shape[0],))

    def dense_image(self, value: Dense) -> Dense:
        """Dense convolutions and poolings on the image, any stride and padding; then a vector."""
        (x,) = self.call(self.layer("Reshape", "reshape", value.shape), value.name)
        value = Dense(x, value.shape)
        for _ in range(self.pick([1, 0, 2])):
            value = self.dense_conv(value) if self.draw(st.booleans()) else self.dense_pool(value)
        (x,) = self.call(self.layer("Flatten", "flatten"), value.name)
        height, width, channels = value.shape
        return Dense(x, (height * width * channels,))

    def dense_conv(self, value: Dense) -> Dense:
        height, width, _ = value.shape
        padding = self.pick(["same", "valid"])
        kernel = (self.draw(KERNELS), self.draw(KERNELS))
        if padding == "valid":
            kernel = (min(kernel[0], height), min(kernel[1], width))
        strides, filters = (self.pick([1, 2]), self.pick([1, 2])), self.pick([2, 1])
        layer = self.layer("QConv2D", "grid", filters, kernel, strides=strides, padding=padding)
        parts = {"kq_conf": ("kq", "weight", 4), "bq_conf": ("bq", "bias", 1)}
        (x,) = self.call(self.with_quantizers(layer, parts), value.name)
        reach = (0, 0) if padding == "same" else (kernel[0] - 1, kernel[1] - 1)
        rows, columns = (-(-(n - r) // s) for n, r, s in zip((height, width), reach, strides, strict=True))
        return Dense(x, (rows, columns, filters))

    def dense_pool(self, value: Dense) -> Dense:
        height, width, channels = value.shape
        cls = self.pick(["AveragePooling2D", "MaxPooling2D", "QAveragePooling2D", "QMaxPooling2D"])
        size = (min(self.pick([2, 1, 3, 5, 7]), height), min(self.pick([2, 1, 3, 5, 6]), width))
        if "Average" in cls and self.rarely(3):
            return self.dense_average(value, cls, size)
        self._note_windows(cls, (height, width), size)
        (x,) = self.call(self._pooling(cls, (size,), 4), value.name)
        return Dense(x, (height // size[0], width // size[1], channels))

    def dense_average(self, value: Dense, cls: str, size: tuple[int, int]) -> Dense:
        """Windows that overlap, leave gaps, or reach over the edge."""
        height, width, channels = value.shape
        padding, strides = self.pick(["same", "valid"]), (self.pick([2, 1, 3]), self.pick([1, 2, 3]))
        layer = self._pooling(cls, (size,), 4)
        layer = replace(layer, settings=(*layer.settings, ("strides", strides), ("padding", padding)))
        self.note("average of any windows", "average by no power of two")
        (x,) = self.call(layer, value.name)
        reach = (0, 0) if padding == "same" else (size[0] - 1, size[1] - 1)
        rows, columns = (-(-(n - r) // s) for n, r, s in zip((height, width), reach, strides, strict=True))
        return Dense(x, (rows, columns, channels))

    def dense(self, value: Dense) -> Dense:
        units = self.pick([2, 3, 1, 4])
        activation = self.pick([None, "relu", "relu", "relu6"])
        rank = 1 + len(value.shape)
        normed = self.rarely(6)
        use_bias = normed or not self.rarely(4)
        cls = "QBatchNormDense" if normed else "QDense"
        layer = self.layer(cls, "dense", units, activation=activation, use_bias=use_bias)
        parts = {"kq_conf": ("kq", "weight", 2)}
        if use_bias:
            parts["bq_conf"] = ("bq", "bias", 1)
        (x,) = self.call(self.with_quantizers(layer, parts, rank=rank), value.name)
        return Dense(x, (*value.shape[:-1], units))

    def tail(self, value: Dense) -> Dense:
        values = [value]
        moves = [
            "dense",
            "dense",
            "dense",
            "elementwise",
            "dense_merge",
            "normalize",
            "einsum",
            "lookup",
            "total",
            "dot",
            "conv1d",
            "rearrange",
            "pool1d",
            "function",
            "function",
        ]
        for _ in range(self.pick([1, 2, 0, 3, 2])):
            move = self.pick(moves)
            result = self.dense_merge(values) if move == "dense_merge" else getattr(self, move)(values[-1])
            values.append(result)
        return values[-1]

    def dense_merge(self, values: list[Dense]) -> Dense:
        last = values[-1]
        other = self.pick([v for v in values if v.shape == last.shape])
        cls = self.pick([*MERGES, "Add", "Concatenate"])
        layer = self.layer(cls, cls.lower())
        if cls.startswith("Q"):
            layer = self.merged(layer, 1 + len(last.shape))
        (x,) = self.call(layer, last.name, other.name)
        grown = last.shape[-1] * (2 if cls == "Concatenate" else 1)
        return Dense(x, (*last.shape[:-1], grown))

    def function(self, value: Dense) -> Dense:
        """A function of keras.ops: what moves values, and arithmetic with numbers on a grid."""
        *rest, last = value.shape
        text, grown = self.pick(
            [
                ("x[..., ::-1]", last),
                ("x[..., 1:]", last - 1),
                ("ops.roll(x, 1, 1)", last),
                ("ops.take(x, [0, 0, -1], -1)", 3),
                ("ops.repeat(x, 2, -1)", 2 * last),
                ("ops.concatenate([x, -x], -1)", 2 * last),
                ("ops.split(ops.concatenate([x, x * 0.5], -1), 2, -1)[1]", last),
                ("ops.flip(ops.stack([x, x], -1), -1)[..., 0]", last),
                (f"ops.pad(x, {((0, 0),) * len(value.shape) + ((1, 2),)}, constant_values=0.25)", last + 3),
                ("ops.relu(x - 0.125)", last),
                ("ops.abs(x)", last),
                ("ops.square(x)", last),
                ("ops.clip(x, -0.5, 1.25)", last),
                ("ops.maximum(x, x[..., ::-1])", last),
                ("x / 4 + 0.5", last),
                ("x - ops.max(x, axis=-1, keepdims=True)", last),
                ("ops.where(x > 0.25, x, -1.0)", last),
            ]
        )
        if grown == 0:
            return self.dense(value)
        (x,) = self.call(self.layer("Function", "function", text), value.name)
        self.note(f"function {text.partition('(')[0] if text.startswith('ops') else text}")
        return Dense(x, (*rest, grown))

    def dot(self, value: Dense) -> Dense:
        """The scalar product of a vector with itself, differently quantized."""
        if len(value.shape) != 1 or not self.rarely(4):
            return self.dense(value)
        layer = self.merged(self.layer("QDot", "dot", axes=-1), 2)
        (x,) = self.call(layer, value.name, value.name)
        return Dense(x, (1,))

    def conv1d(self, value: Dense) -> Dense:
        """A convolution along the pixels in raster order."""
        if len(value.shape) != 2:
            return self.dense(value)
        layer = self.layer("QConv1D", "line", self.pick([2, 1]), self.pick([3, 1, 2]), padding="same")
        parts = {"kq_conf": ("kq", "weight", 3), "bq_conf": ("bq", "bias", 1)}
        (x,) = self.call(self.with_quantizers(layer, parts, rank=3), value.name)
        return Dense(x, (value.shape[0], layer.positional[0]))

    def normalize(self, value: Any) -> Any:
        layer = self.layer("QBatchNormalization", "normalize")
        parts = {"kq_conf": ("kq", "weight", 1), "bq_conf": ("bq", "bias", 1)}
        (x,) = self.call(self.with_quantizers(layer, parts, rank=1 + len(value.shape)), value.name)
        return replace(value, name=x)

    def rearrange(self, value: Dense) -> Dense:
        """Reshape or Permute; the elements of a vector in rows of two and three."""
        if len(value.shape) == 1:
            rows = next((n for n in (2, 3, 5) if value.shape[0] % n == 0), 1)
            shape = (rows, value.shape[0] // rows)
            layer = self.layer("Reshape", "rows", shape)
        else:
            shape = (*value.shape[:-2], value.shape[-1], value.shape[-2])
            rank = len(shape)
            layer = self.layer("Permute", "permute", (*range(1, rank - 1), rank, rank - 1))
        (x,) = self.call(layer, value.name)
        return Dense(x, shape)

    def pool1d(self, value: Dense) -> Dense:
        """Pooling along the pixels in raster order."""
        if len(value.shape) != 2:
            return self.dense(value)
        everywhere = self.draw(st.booleans())
        stem = self.pick(["AveragePooling1D", "MaxPooling1D"])
        cls = self.pick(["", "Q"]) + ("Global" if everywhere else "") + stem
        size = value.shape[0] if everywhere else min(self.pick([2, 3, 4]), value.shape[0])
        self._note_windows(cls, (value.shape[0],), (size,))
        (x,) = self.call(self._pooling(cls, () if everywhere else (size,), 3), value.name)
        return Dense(x, value.shape[1:] if everywhere else (value.shape[0] // size, value.shape[1]))

    def _pooling(self, cls: str, positional: tuple[Any, ...], rank: int) -> Layer:
        layer = self.layer(cls, "cells", *positional)
        if not cls.startswith("Q"):
            return layer
        settings, widths = self.quantized({"iq_conf": ("iq", "datalane", rank)})
        return replace(layer, settings=tuple(settings.items()), widths=tuple(widths))

    def _note_windows(self, cls: str, spatial: tuple[int, ...], size: tuple[int, ...]) -> None:
        window = math.prod(size)
        if "Average" in cls and window & (window - 1):
            self.note("average by no power of two")
        if any(n % s for n, s in zip(spatial, size, strict=True)):
            self.note("partial windows, dense")

    def einsum(self, value: Dense) -> Dense:
        units = self.pick([2, 1, 3])
        if len(value.shape) <= 2 and self.rarely(3):
            return self.einsum_batchnorm(value, units)
        bias = self.pick([None, "f"])
        layer = self.layer("QEinsumDense", "einsum", "...c,cf->...f", units, bias_axes=bias)
        parts = {"kq_conf": ("kq", "weight", 2)}
        if bias:
            parts["bq_conf"] = ("bq", "bias", 1)
        (x,) = self.call(self.with_quantizers(layer, parts, rank=1 + len(value.shape)), value.name)
        return Dense(x, (*value.shape[:-1], units))

    def einsum_batchnorm(self, value: Dense, units: int) -> Dense:
        equation, shape = ("bj,jk->bk", units) if len(value.shape) == 1 else ("bij,jk->bik", (value.shape[0], units))
        layer = self.layer("QEinsumDenseBatchnorm", "einsum", equation, shape, bias_axes="k")
        parts = {"kq_conf": ("kq", "weight", 2), "bq_conf": ("bq", "bias", 1)}
        (x,) = self.call(self.with_quantizers(layer, parts, rank=1 + len(value.shape)), value.name)
        return Dense(x, (*value.shape[:-1], units))

    def lookup(self, value: Dense) -> Dense:
        """A function as a table, or softmax as two tables."""
        rank = 1 + len(value.shape)
        if self.draw(st.booleans()):
            return self.tabled_softmax(value)
        cls = self.pick(["QUnaryFunctionLUT", "QUnaryFunctionLUT", "QAffinedUnaryFunctionLUT"])
        layer = self.layer(cls, "lut", self.pick(["tanh", "sigmoid", "relu"]))
        settings, widths = self.quantized({"iq_conf": ("iq", "datalane", rank), "oq_conf": ("oq", "table", rank)})
        (x,) = self.call(replace(layer, settings=tuple(settings.items()), widths=tuple(widths)), value.name)
        return replace(value, name=x)

    def tabled_softmax(self, value: Dense) -> Dense:
        stable = self.draw(st.booleans())
        enable_iq = self.draw(st.booleans()) or (not stable and not self.rarely(6))
        layer = self.layer("QSoftmax", "qsoftmax", stable=stable, enable_iq=enable_iq)
        rank = 1 + len(value.shape)
        parts = {"iq_conf": ("iq", "datalane", rank)} if enable_iq else {}
        settings, widths = self.quantized(parts)
        inner = [*(["exp_table.iq"] if stable else []), "exp_table.oq", "inv_table.iq", "inv_table.oq"]
        widths += [(where, self.draw(trained_widths())) for where in inner]
        settings = {**dict(layer.settings), **settings}
        (x,) = self.call(replace(layer, settings=tuple(settings.items()), widths=tuple(widths)), value.name)
        return replace(value, name=x)

    def total(self, value: Dense) -> Dense:
        layer = self.layer(self.pick(["QSum", "QMeanPow2"]), "total", axes=-1, keepdims=True)
        settings, widths = self.quantized({"iq_conf": ("iq", "datalane", 1 + len(value.shape))})
        settings = {**dict(layer.settings), **settings}
        layer = replace(layer, settings=tuple(settings.items()), widths=tuple(widths))
        (x,) = self.call(layer, value.name)
        return Dense(x, (*value.shape[:-1], 1))

    def head(self, value: Dense) -> Dense:
        kind = self.pick([None, None, "softmax", "sigmoid"])
        if kind is None:
            return value
        if self.rarely(12):
            self.note("float layer")
            kinds = [("Dense", (2,)), ("LayerNormalization", ()), ("Activation", ("gelu",))]
            cls, positional = self.pick(kinds)
            layer = self.layer(cls, "floating", *positional)
            (x,) = self.call(replace(layer, weights=(*self.weights()[:2], 0.0, 0.0)), value.name)
            return Dense(x, (*value.shape[:-1], 2) if cls == "Dense" else value.shape)
        if self.rarely(3):
            self.note("argmax head")
            (x,) = self.call(self.layer("Function", "place", "ops.argmax(x, axis=-1)"), value.name)
            return Dense(x, value.shape[:-1])
        self.note(f"float head {kind}")
        (x,) = self.call(self.layer("Activation", "head", kind), value.name)
        return replace(value, name=x)
