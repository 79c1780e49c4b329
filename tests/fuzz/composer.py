"""What composing a network needs whatever the layer: draws, names, quantizers, and what flows between layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from fuzz.quantizers import SEEDS, features, quantizations, trained_widths
from fuzz.recipe import Block, Layer, Quantization, Step

KERNELS = st.sampled_from([3, 1, 2, 4, 5, 7])


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
            self.pick([1.0, 0.5, 2.0, 0.7]),
            self.pick([0.25, 0.0, 1.0, 0.125]) if not self.wide else 0.0,
            self.pick([0.3, 0.6, 0.9, 1.0]) if self.rarely(6) else 0.0,
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

    def merged(self, layer: Layer, rank: int) -> Layer:
        """A merging layer of HGQ2 with the quantizers of its two inputs."""
        found = self.draw(quantizations("datalane", rank, self.wide))
        self.note(*features("iq", found))
        widths = tuple((f"iq[{n}]", self.draw(trained_widths(wide=self.wide))) for n in range(2))
        return replace(layer, settings=(*layer.settings, ("iq_confs", found)), widths=widths)

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
            ("GaussianNoise", (0.5,), {}),
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
