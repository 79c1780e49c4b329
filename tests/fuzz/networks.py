"""Random sparse networks, composed layer by layer over what sparsepixels and HGQ2 can say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from fuzz.quantizers import OVERFLOWS, ROUNDINGS, SEEDS, features, quantizations, trained_widths
from fuzz.recipe import Block, Layer, Network, Quantization, Step

SIZES = st.sampled_from([4, 5, 3, 6, 7, 2, 1, 8, 10])
KERNELS = st.sampled_from([3, 1, 2, 4, 5, 7])
MERGES = ("QAdd", "QSubtract", "QMultiply", "QMaximum", "QMinimum", "QAveragePow2")
THRESHOLDS = (0.0, 0.25, -0.3, 1 / 3, 1.0, 99.0, -99.0)


@dataclass(frozen=True)
class Sparse:
    """A feature map with its keep mask: variables of the script, shape `(H, W, C)`, and which pixels it lives on.

    `filled` says that inactive pixels may hold something: only a convolution or a mask may follow.
    """

    name: str
    mask: str
    shape: tuple[int, int, int]
    pixels: int
    filled: bool = False


@dataclass(frozen=True)
class Dense:
    """A dense tensor `[B, *shape]`."""

    name: str
    shape: tuple[int, ...]


class Composer:
    """Draws a network; every `draw` goes through hypothesis, so that failing networks are made smaller."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.steps: list[Step] = []
        self.features: set[str] = set()
        self.count: dict[str, int] = {}
        self.near: list[float] = []
        self.pixels = 0
        self.scoped = False
        self.wide = False

    # ---- small draws --------------------------------------------------------------------------------------------

    def pick(self, values: Any) -> Any:
        return self.draw(st.sampled_from(values))

    def rarely(self, one_in: int) -> bool:
        return bool(self.draw(st.integers(0, one_in - 1)) == one_in - 1)

    def name(self, stem: str) -> str:
        self.count[stem] = self.count.get(stem, 0) + 1
        return f"{stem}{self.count[stem]}"

    def note(self, *what: str) -> None:
        self.features.update(what)

    # ---- layers -------------------------------------------------------------------------------------------------

    def quantizer(self, what: str, place: str, rank: int) -> Quantization | None:
        """A quantizer of a layer; None takes the scope's default (with widths all the same)."""
        if self.rarely(3):
            self.note("default quantizer" + (" in a scope" if self.scoped else ""))
            return None
        found = self.draw(quantizations(place, rank, self.wide))
        self.note(*features(what, found))
        return found

    def quantized(self, parts: dict[str, tuple[str, str, int]]) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
        """Settings and widths for quantizers `{argument: (place below the layer, "datalane" or other, rank)}`."""
        settings, widths = {}, []
        for argument, (where, place, rank) in parts.items():
            found = self.quantizer(where.rsplit(".", 1)[-1].strip("_"), place, rank)
            if found is not None:
                settings[argument] = found
            weight = place != "datalane"
            default = trained_widths(weight=weight, wide=self.wide)
            widths.append((where, found.widths if found else self.draw(default)))
        return settings, widths

    def weights(self) -> tuple[int, float, float, float]:
        return (
            self.draw(SEEDS),
            self.pick([1.0, 0.5, 2.0, 0.1]),
            self.pick([0.25, 0.0, 1.0, 0.125]) if not self.wide else 0.0,
            self.pick([0.0, 0.3, 0.0, 1.0]) if self.rarely(3) else 0.0,
        )

    def layer(self, cls: str, stem: str, *positional: Any, **settings: Any) -> Layer:
        self.note(f"layer {cls}")
        return Layer(cls, self.name(stem), positional, tuple(settings.items()))

    def with_quantizers(
        self, layer: Layer, parts: dict[str, tuple[str, str, int]], iq: str = "iq", rank: int = 4
    ) -> Layer:
        """The layer with random quantizers, weights, and rarely without input or with output quantizer."""
        parts = dict(parts)
        switches = {}
        if iq and self.rarely(6):
            switches["enable_iq"] = False
            self.note("enable_iq=False")
        elif iq:
            parts["iq_conf"] = (iq, "datalane", rank)
        if iq and self.rarely(6):
            switches["enable_oq"] = True
            parts["oq_conf"] = (iq.replace("iq", "oq"), "datalane", rank)
            self.note("enable_oq")
        settings, widths = self.quantized(parts)
        frozen = self.rarely(15)
        if frozen:
            self.note("trainable=False")
        settings = {**dict(layer.settings), **settings, **switches}
        return replace(
            layer, settings=tuple(settings.items()), widths=tuple(widths), weights=self.weights(), frozen=frozen
        )

    def call(self, layer: Layer | Block, *inputs: str, outputs: int = 1) -> tuple[str, ...]:
        names = tuple(self.name("x" if n == 0 else "m") for n in range(outputs))
        self.steps.append(Step(layer, inputs, names))
        return names

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
        if n >= height * width:
            self.note("budget not smaller than the image")
        self.near.append(threshold)
        x, mask = self.call(layer, image, outputs=2)
        self.pixels += 1
        return Sparse(x, mask, shape, self.pixels)

    # ---- sparse layers ------------------------------------------------------------------------------------------

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
        size = tuple(min(self.pick([2, 1, 3, 2, 4]), n) for n in (height, width))
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

    def elementwise(self, value: Sparse | Dense) -> Sparse | Dense:
        """An activation, a quantizer or a layer that does nothing at inference."""
        made: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
            ("Activation", ("relu",), {}),
            ("ReLU", (), {}),
            ("ReLU", (), {"max_value": 1.5}),
            ("ReLU", (), {"negative_slope": 0.25}),
            ("ReLU", (), {"threshold": 0.5}),
            ("LeakyReLU", (), {"negative_slope": 0.125}),
            ("Dropout", (0.5,), {}),
            ("Identity", (), {}),
            ("Activation", ("relu6",), {}),
            ("Quantizer", (), {}),
            ("Quantizer", (), {}),
        ]
        cls, positional, settings = self.pick(made)
        kind = "sparse" if isinstance(value, Sparse) else "dense"
        if self.rarely(40):
            cls, positional, settings = self.pick(
                [("BatchNormalization", (), {}), ("Activation", ("tanh",), {}), ("ReLU", (), {"negative_slope": 0.3})]
            )
            self.note("misuse: elementwise")
        if cls == "Quantizer":
            found = self.draw(quantizations("datalane", 1 + len(value.shape), self.wide))
            self.note(*features("standalone", found))
            layer = replace(self.layer(cls, "quantizer", found), widths=(("", found.widths),))
        else:
            layer = self.layer(cls, cls.lower(), *positional, **settings)
        self.note(f"{cls} alone, {kind}")
        (x,) = self.call(layer, value.name)
        return replace(value, name=x)

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

    def merge(self, values: list[Sparse]) -> Sparse | None:
        """Add or Concatenate two feature maps; None where no two fit."""
        last = values[-1]
        others = [v for v in values[:-1] if v.pixels == last.pixels]
        if self.rarely(30):
            others = [v for v in values[:-1] if v.pixels != last.pixels and v.shape[:2] == last.shape[:2]] or others
        if not others:
            return None
        other = self.pick(others)
        if other.pixels != last.pixels:
            self.note("misuse: merge of different pixels")
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

    def merged(self, layer: Layer, rank: int) -> Layer:
        """A merging layer of HGQ2 with the quantizers of its two inputs."""
        found = self.draw(quantizations("datalane", rank, self.wide))
        self.note(*features("iq", found))
        widths = tuple((f"iq[{n}]", self.draw(trained_widths(wide=self.wide))) for n in range(2))
        return replace(layer, settings=(*layer.settings, ("iq_confs", found)), widths=widths)

    def body(self, value: Sparse) -> list[Sparse]:
        """A few sparse layers; returns the values that are left over, the last one first."""
        values = [value]
        moves = [*("conv", "pool", "elementwise") * 2, "conv", "merge", "remask", "nested", "fill"]
        for _ in range(self.draw(st.integers(0, 5))):
            if len(values) > 1 and self.rarely(5):
                values.append(values.pop(self.draw(st.integers(0, len(values) - 1))))
                self.note("branch")
            move = self.pick(moves)
            if values[-1].filled and not self.rarely(8):
                move = self.pick(["conv", "remask", "nested"])
            if move == "merge":
                result = self.merge(values)
                if result is None:
                    continue
            else:
                result = getattr(self, move)(values[-1])
            values.append(result)
        return values

    # ---- dense layers -------------------------------------------------------------------------------------------

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
        size = (min(self.pick([2, 1, 3]), height), min(self.pick([2, 1, 3]), width))
        layer = self.layer(cls, "cells", size)
        if cls.startswith("Q"):
            settings, widths = self.quantized({"iq_conf": ("iq", "datalane", 4)})
            layer = replace(layer, settings=tuple(settings.items()), widths=tuple(widths))
        if "Average" in cls and size[0] * size[1] & (size[0] * size[1] - 1):
            self.note("average by no power of two")
        (x,) = self.call(layer, value.name)
        return Dense(x, (height // size[0], width // size[1], channels))

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
        moves = ["dense", "dense", "dense", "elementwise", "dense_merge", "normalize", "einsum", "lookup", "total"]
        for _ in range(self.draw(st.integers(0, 3))):
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

    def normalize(self, value: Any) -> Any:
        layer = self.layer("QBatchNormalization", "normalize")
        parts = {"kq_conf": ("kq", "weight", 1), "bq_conf": ("bq", "bias", 1)}
        (x,) = self.call(self.with_quantizers(layer, parts, rank=1 + len(value.shape)), value.name)
        return replace(value, name=x)

    def einsum(self, value: Dense) -> Dense:
        units = self.pick([2, 1, 3])
        bias = self.pick([None, "f"])
        layer = self.layer("QEinsumDense", "einsum", "...c,cf->...f", units, bias_axes=bias)
        parts = {"kq_conf": ("kq", "weight", 2)}
        if bias:
            parts["bq_conf"] = ("bq", "bias", 1)
        (x,) = self.call(self.with_quantizers(layer, parts, rank=1 + len(value.shape)), value.name)
        return Dense(x, (*value.shape[:-1], units))

    def lookup(self, value: Dense) -> Dense:
        """A function as a table, or softmax as two tables."""
        rank = 1 + len(value.shape)
        if self.draw(st.booleans()):
            return self.tabled_softmax(value)
        layer = self.layer("QUnaryFunctionLUT", "lut", self.pick(["tanh", "sigmoid", "relu"]))
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
        self.note(f"float head {kind}")
        (x,) = self.call(self.layer("Activation", "head", kind), value.name)
        return replace(value, name=x)


def _outputs(composer: Composer, values: list[Sparse]) -> list[str]:
    """Heads on the last value and rarely on another; rarely the sparse feature map itself."""
    chosen = [values[-1]]
    if len(values) > 1 and composer.rarely(4):
        chosen.append(composer.pick(values[:-1]))
    names = []
    for value in chosen:
        if composer.rarely(5) and not value.filled:
            composer.note("sparse output")
            names.append(value.name)
        else:
            names.append(composer.head(composer.tail(composer.to_dense(value))).name)
    return names


def _scope(composer: Composer) -> tuple[tuple[tuple[str, Any], ...], ...]:
    if not composer.rarely(3):
        return ()
    composer.scoped = True
    composer.note("QuantizerConfigScope")
    rounding, overflow = composer.pick(ROUNDINGS[:4]), composer.pick(OVERFLOWS[:3])
    everywhere = {"place": "all", "overflow_mode": "SAT_SYM", "default_q_type": "kbi"}
    data = {"place": "datalane", "round_mode": rounding, "overflow_mode": overflow, "default_q_type": "kif"}
    return tuple(everywhere.items()), tuple(data.items())


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """A network with one reduction, rarely two (of one input or of two)."""
    composer = Composer(draw)
    if composer.rarely(5):
        composer.wide = True
        composer.note("wide formats")
    scope = _scope(composer)
    inputs, values, outputs = [], [], []
    for number in range(2 if composer.rarely(6) else 1):
        if number == 0 or draw(st.booleans()):
            name = f"image{number + 1}"
            shape = (draw(SIZES), draw(SIZES), composer.pick([1, 2, 3]))
            inputs.append((name, shape))
        composer.note("several channels" if shape[2] > 1 else "one channel")
        source = name
        if composer.rarely(8):
            found = draw(quantizations("datalane", 4))
            composer.note("Quantizer before InputReduce", *features("standalone", found))
            layer = replace(composer.layer("Quantizer", "quantizer", found), widths=(("", found.widths),))
            (source,) = composer.call(layer, name)
        values = composer.body(composer.reduction(source, shape))
        outputs += _outputs(composer, values)
    if len(inputs) > 1:
        composer.note("several inputs")
    elif len([s for s in composer.steps if s.layer.name.startswith("reduce")]) > 1:
        composer.note("two reductions of one input")
    if len(outputs) > 1:
        composer.note("several outputs")
    narrow = ["ap_fixed<6,3>", None, "ap_ufixed<4,2>", "ap_fixed<12,5>"]
    precision = composer.pick(["ap_fixed<20,6>", "ap_ufixed<16,4>"] if composer.wide else narrow)
    composer.note("input precision given" if precision else "input precision derived")
    return Network(
        tuple(inputs),
        tuple(composer.steps),
        tuple(outputs),
        scope,
        precision,
        draw(SEEDS),
        tuple(composer.near),
        frozenset(composer.features),
    )
