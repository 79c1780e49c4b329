"""Random sparse layers, from the input reduction to where the sparse part ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from fuzz.composer import KERNELS, Dense, Sparse
from fuzz.dense_layers import DenseComposer
from fuzz.quantizers import features, quantizations, trained_widths
from fuzz.recipe import Block, Layer

THRESHOLDS = (0.0, 0.25, -0.3, 1 / 3, 1.0, 99.0, -99.0)


class SparseComposer(DenseComposer):
    """Draws sparse layers."""

    # ---- where the sparse part begins ---------------------------------------------------------------------------

    def reduction(self, image: str, shape: tuple[int, int, int]) -> Sparse:
        height, width, _ = shape
        n = self.pick([4, 3, 8, 2, 1, 12, height * width, height * width + 3])
        threshold = self.pick(THRESHOLDS[:5] * 3 + THRESHOLDS)
        learn_n, learn_threshold = self.draw(st.booleans()), self.draw(st.booleans())
        layer = self.layer("InputReduce", "reduce", n, threshold, learn_n=learn_n, learn_threshold=learn_threshold)
        if learn_n or learn_threshold:
            budget = self.pick([n, 1.5, 2.5, 3.5, 0.75 * n, 1.49 * n, 2 * n])
            trained = self.pick(THRESHOLDS[:5])
            layer = replace(layer, reduction=(budget, trained))
            threshold = trained if learn_threshold else threshold
            self.note("learned budget" if learn_n else "fixed budget")
            self.note("budget at a rounding edge" if learn_n and budget % 1 == 0.5 else "budget between edges")
        self.note(f"threshold {'negative' if threshold < 0 else 'above all data' if threshold > 50 else 'ordinary'}")
        if threshold % 2.0**-12:
            self.note("threshold off the input grid")
        if n >= height * width:
            self.note(f"budget {'larger than' if n > height * width else 'of'} the image")
        self.near.append(threshold)
        x, mask = self.call(layer, image, outputs=2)
        self.pixels += 1
        return Sparse(x, mask, shape, self.pixels)

    def conv_layer(self, channels: int) -> tuple[Layer, int]:
        kernel = (self.draw(KERNELS), self.draw(KERNELS))
        filters = self.pick([2, 1, 3])
        settings: dict[str, Any] = {"padding": "same"}
        groups = self.pick([g for g in (1, 2, 3) if channels % g == 0]) if self.rarely(3) else 1
        if groups > 1:
            settings["groups"], filters = groups, groups * self.pick([1, 2])
            self.note("groups")
        if self.rarely(4):
            settings["dilation_rate"] = (self.pick([2, 1, 3]), self.pick([2, 1, 3]))
            self.note("dilation")
        if self.rarely(4):
            settings["use_bias"] = False
            self.note("no bias")
        activation = self.pick(["relu", None, "relu", "relu6", "linear", "hard_tanh"])
        if activation:
            settings["activation"] = activation
            self.note(f"activation {activation} inside")
        if self.rarely(40):
            wrong = [{"strides": 2}, {"padding": "valid"}, {"activation": "sigmoid"}, {"activation": "leaky_relu"}]
            settings.update(self.pick(wrong))
            self.note("misuse: convolution")
        if kernel[0] % 2 == 0 or kernel[1] % 2 == 0:
            self.note("even kernel")
        if kernel[0] != kernel[1]:
            self.note("rectangular kernel")
        if kernel == (1, 1):
            self.note("1x1 kernel")
        layer = self.layer("QConv2DSparse", "conv", filters, kernel, **settings)
        parts = {"kq_conf": ("conv.kq", "weight", 4)}
        if settings.get("use_bias", True):
            parts["bq_conf"] = ("_bq", "bias", 1)
        return self.with_quantizers(layer, parts, "conv.iq"), filters

    def conv(self, value: Sparse) -> Sparse:
        layer, filters = self.conv_layer(value.shape[2])
        kernel = layer.positional[1]
        if kernel[0] > value.shape[0] or kernel[1] > value.shape[1]:
            self.note("kernel larger than the image")
        (x,) = self.call(layer, value.name, value.mask)
        if filters == value.shape[2] and self.rarely(8):
            self.note("shared layer")
            (x,) = self.call(layer, x, value.mask)
        return replace(value, name=x, shape=(*value.shape[:2], filters), filled=False)

    def pool(self, value: Sparse) -> Sparse:
        height, width, channels = value.shape
        cls = self.pick(["AveragePooling2DSparse", "MaxPooling2DSparse"])
        size = tuple(min(self.pick([2, 1, 3, 2, 4, 5, 6, 7]), n) for n in (height, width))
        settings: dict[str, Any] = {}
        if self.rarely(40):
            settings = self.pick([{"strides": 1}, {"padding": "same"}])
            self.note("misuse: pooling")
        layer = self.layer(cls, "pool", size, **settings)
        if height % size[0] or width % size[1]:
            self.note("partial windows")
        window = size[0] * size[1]
        if cls.startswith("Average") and window & (window - 1):
            self.note("average by no power of two")
        if size[0] != size[1]:
            self.note("rectangular window")
        self.note("several poolings" if self.pixels > 2 else "pooling")
        x, mask = self.call(layer, value.name, value.mask, outputs=2)
        self.pixels += 1
        if "strides" in settings:
            shape = (height - size[0] + 1, width - size[1] + 1, channels)
        elif "padding" in settings:
            shape = (-(-height // size[0]), -(-width // size[1]), channels)
        else:
            shape = (height // size[0], width // size[1], channels)
        return Sparse(x, mask, shape, self.pixels)

    def remask(self, value: Sparse) -> Sparse:
        cls = self.pick(["RemoveDilatedPixels", "Multiply"])
        (x,) = self.call(self.layer(cls, "remask"), value.name, value.mask)
        self.note("mask again")
        return replace(value, name=x, filled=False)

    def fill(self, value: Sparse) -> Sparse:
        """A layer with f(0) != 0, or one that could be: a table, a batch normalization, an affine quantizer."""
        cls = self.pick(["QUnaryFunctionLUT", "QBatchNormalization", "Quantizer"])
        self.note(f"{cls} alone, sparse", "filled pixels")
        if cls == "QBatchNormalization":
            return replace(self.normalize(value), filled=True)
        if cls == "Quantizer":
            found = self.draw(quantizations("datalane", 4, self.wide))
            found = replace(found, affine=self.pick([(0.5, 0.0), (1.0, 0.25), (0.25, 0.5)]))
            self.note(*features("standalone", found))
            layer = replace(self.layer(cls, "quantizer", found), widths=(("", found.widths),))
        else:
            layer = self.layer(cls, "lut", self.pick(["tanh", "sigmoid", "relu"]), allow_heterogeneous_table=False)
            settings, widths = self.quantized({"iq_conf": ("iq", "datalane", 4)})
            settings = {**dict(layer.settings), **settings}
            widths.append(("oq", self.draw(trained_widths())))
            layer = replace(layer, settings=tuple(settings.items()), widths=tuple(widths))
        (x,) = self.call(layer, value.name)
        return replace(value, name=x, filled=True)

    def nested(self, value: Sparse) -> Sparse:
        """A convolution and an activation in a model of their own."""
        outer, self.steps = self.steps, []
        inner = replace(value, name=self.name("x"), mask=self.name("m"))
        result: Any = self.conv(inner)
        if self.draw(st.booleans()):
            result = self.elementwise(result)
        steps, self.steps = tuple(self.steps), outer
        block = Block(
            self.name("nested"),
            ((inner.name, inner.shape), (inner.mask, (*inner.shape[:2], 1))),
            steps,
            (result.name,),
        )
        self.note("nested model")
        (x,) = self.call(block, value.name, value.mask)
        return replace(value, name=x, shape=result.shape, filled=False)

    def merge(self, values: list[Sparse]) -> Sparse:
        """Merge two feature maps on the same pixels: a branch, or a convolution and its input."""
        last = values[-1]
        others = [v for v in values[:-1] if v.pixels == last.pixels]
        if not others:
            others, last = [last], self.conv(last)
            self.note("residual")
        if self.rarely(30):
            others = [v for v in values[:-1] if v.pixels != last.pixels and v.shape[:2] == last.shape[:2]] or others
        other = self.pick(others)
        if other.pixels != last.pixels:
            self.note("merge of different pixels")
        fits = other.shape == last.shape
        kinds = [
            "Add",
            "Concatenate",
            "Add",
            "Subtract",
            "Maximum",
            "Minimum",
            "Multiply",
            "Average",
            "QAdd",
            "QMaximum",
        ]
        cls = self.pick(kinds) if fits else "Concatenate"
        layer = self.layer(cls, cls.lower())
        if cls.startswith("Q"):
            layer = self.merged(layer, 4)
        (x,) = self.call(layer, last.name, other.name)
        self.note(f"sparse {cls}")
        channels = last.shape[2] + (0 if cls != "Concatenate" else other.shape[2])
        return replace(last, name=x, shape=(*last.shape[:2], channels), filled=last.filled or other.filled)

    def to_dense(self, value: Sparse) -> Dense:
        height, width, channels = value.shape
        if value.filled and not self.rarely(8):
            value = self.remask(value)
        pools = ["GlobalAveragePooling2D", "GlobalMaxPooling2D", "QGlobalAveragePooling2D", "QGlobalMaxPooling2D"]
        cls = self.pick(["Flatten", "Flatten", "Reshape", "image", *pools])
        count = height * width
        if cls == "image":
            return self.dense_image(Dense(value.name, value.shape))
        if cls == "Flatten":
            shape: tuple[int, ...] = (count * channels,)
            layer = self.layer(cls, "flatten")
        elif cls == "Reshape":
            shape = (count, channels)
            layer = self.layer(cls, "reshape", shape)
        else:
            shape = (channels,)
            layer = self.layer(cls, "pooled")
            if cls.startswith("Q"):
                settings, widths = self.quantized({"iq_conf": ("iq", "datalane", 4)})
                layer = replace(layer, settings=tuple(settings.items()), widths=tuple(widths))
            if "Average" in cls and count & (count - 1):
                self.note("average by no power of two")
        (x,) = self.call(layer, value.name)
        return Dense(x, shape)

    def body(self, value: Sparse) -> list[Sparse]:
        """A few sparse layers; returns the values that are left over, the last one first."""
        values = [value]
        moves = [*["conv"] * 5, *["pool", "elementwise", "merge", "nested"] * 2, "remask", "fill"]
        for _ in range(self.pick([1, 2, 3, 4, 2, 3, 0, 5])):
            if len(values) > 1 and self.rarely(5):
                values.append(values.pop(self.draw(st.integers(0, len(values) - 1))))
                self.note("branch")
            move = self.pick(moves)
            if values[-1].filled and not self.rarely(8):
                move = self.pick(["conv", "remask", "nested"])
            result = self.merge(values) if move == "merge" else getattr(self, move)(values[-1])
            values.append(result)
        return values
