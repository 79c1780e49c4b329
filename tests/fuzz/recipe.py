"""Networks as plain data, and the Python script that builds one: the script is the only way a network is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HELPERS = Path(__file__).with_name("trained.py")

IMPORTS = """\
import keras
from hgq.config import QuantizerConfigScope
from hgq.layers import *
from hgq.quantizer import Quantizer
from hgq.quantizer.config import QuantizerConfig
from keras.layers import *
from sparsepixels.layers import *
"""

CHECK = """

if __name__ == "__main__":
    import sys

    sys.path.insert(0, "tests")  # run it in the root of the source tree
    from fuzz.check import check_script

    print(check_script(__file__))
"""


@dataclass(frozen=True)
class Widths:
    """Trained bit widths of one quantizer, see `trained.set_widths`."""

    seed: int = 0
    signed: float = 1.0
    integer: tuple[int, int] = (2, 2)
    fractional: tuple[int, int] = (3, 3)
    dead: float = 0.0

    def call(self, quantizer: str) -> str:
        arguments = [f"seed={self.seed}", f"signed={self.signed}", f"integer={self.integer}"]
        arguments += [f"fractional={self.fractional}"] + ([f"dead={self.dead}"] if self.dead else [])
        return f"set_widths({quantizer}, {', '.join(arguments)})"


@dataclass(frozen=True)
class Quantization:
    """A quantizer: its configuration (None where the scope's default serves) and its widths."""

    q_type: str
    place: str
    settings: tuple[tuple[str, Any], ...]
    widths: Widths
    affine: tuple[float, float] | None = None

    def __repr__(self) -> str:
        given = self.settings if self.affine is None else (*self.settings, ("affine", self.affine))
        settings = "".join(f", {k}={v!r}" for k, v in given)
        return f"QuantizerConfig({self.q_type!r}, {self.place!r}{settings})"


@dataclass(frozen=True)
class Layer:
    """A Keras layer and its trained state.

    Args:
        cls: class or expression that makes it.
        name: variable and layer name.
        positional: positional arguments.
        settings: keyword arguments; a Quantization prints as its configuration.
        widths: widths by the quantizer's place below the layer, `conv.iq`.
        weights: arguments of `trained.set_weights` after the layer; None for layers without.
        reduction: learned budget and threshold of an InputReduce.
        frozen: whether the layer's `trainable` is switched off after training.
    """

    cls: str
    name: str
    positional: tuple[Any, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    widths: tuple[tuple[str, Widths], ...] = ()
    weights: tuple[int, float, float, float] | None = None
    reduction: tuple[float, float] | None = None
    frozen: bool = False

    def definition(self) -> str:
        parts = [repr(a) for a in self.positional] + [f"{k}={v!r}" for k, v in self.settings]
        return f"{self.name} = {self.cls}({', '.join([*parts, f'name={self.name!r}'])})"

    def training(self) -> Iterator[str]:
        if self.frozen:
            yield f"{self.name}.trainable = False"
        if self.weights is not None:
            yield f"set_weights({self.name}, {', '.join(map(repr, self.weights))})"
        if self.reduction is not None:
            yield f"set_reduction({self.name}, {self.reduction[0]!r}, {self.reduction[1]!r})"
        for where, widths in self.widths:
            yield widths.call(f"{self.name}.{where}" if where else self.name)


@dataclass(frozen=True)
class Block:
    """A nested model: inputs as (variable, shape), steps, outputs."""

    name: str
    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One call of a layer; the same layer may be called by several steps."""

    layer: Layer | Block
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    as_list: bool = True

    def call(self) -> str:
        given = ", ".join(self.inputs)
        given = f"[{given}]" if len(self.inputs) > 1 and self.as_list else given
        return f"{', '.join(self.outputs)} = {self.layer.name}({given})"


@dataclass(frozen=True)
class Network:
    """A network: what is needed to build it again, nothing else.

    Args:
        inputs: name and shape `(H, W, C)` of each input.
        steps: calls in order.
        outputs: variables given out.
        scope: defaults of quantizers, arguments of QuantizerConfigScope; a tuple of scopes, outermost first.
        input_precision: as for `export`.
        events_seed: seed of `trained.random_events`.
        near: thresholds that many values of the events lie next to.
        features: what occurs in it, for the statistics and the documented refusals.
    """

    inputs: tuple[tuple[str, tuple[int, int, int]], ...]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]
    scope: tuple[tuple[tuple[str, Any], ...], ...] = ()
    input_precision: str | None = None
    events_seed: int = 0
    near: tuple[float, ...] = ()
    features: frozenset[str] = field(default=frozenset(), compare=False)

    def structure(self) -> tuple[object, ...]:
        """What calls what: networks of one structure differ in sizes, formats and weights only."""
        calls = tuple((getattr(s.layer, "cls", "Model"), s.inputs, _switches(s.layer)) for s in self.steps)
        return calls, self.outputs, len(self.inputs)

    def body(self) -> str:
        """`build()` and the constants of the case as Python source."""
        lines = [f"    {name} = keras.Input({shape}, name={name!r})" for name, shape in self.inputs]
        inner: list[str] = []
        defined: dict[str, Layer | Block] = {}
        _calls(self.steps, inner, defined)
        for scope in self.scope:
            lines.append(f"    with QuantizerConfigScope({', '.join(f'{k}={v!r}' for k, v in scope)}):")
        if len(self.scope) > 1:  # one with statement for all
            start = len(lines) - len(self.scope)
            scopes = [line.strip().removeprefix("with ").rstrip(":") for line in lines[start:]]
            lines[start:] = [f"    with {', '.join(scopes)}:"]
        lines += [("    " if not self.scope else "        ") + line for line in inner]
        names = ", ".join(name for name, _ in self.inputs)
        lines.append(f"    model = keras.Model([{names}], [{', '.join(self.outputs)}], name='network')")
        for layer in defined.values():
            if isinstance(layer, Layer):
                lines += [f"    {line}" for line in layer.training()]
        constants = [
            f"INPUTS = {self.inputs!r}",
            f"INPUT_PRECISION = {self.input_precision!r}",
            f"EVENTS_SEED = {self.events_seed}",
            f"NEAR = {self.near!r}",
            f"FEATURES = {sorted(self.features)!r}",
        ]
        return "\n".join(["def build():", *lines, "    return model", "", "", *constants, ""])

    def script(self) -> str:
        """A script that stands alone: helpers, imports, the network."""
        helpers = HELPERS.read_text().split("import keras\n", 1)[1]
        title = '"""A sparse network drawn at random; run it in the root of the source tree."""\n\n'
        return f"{title}{IMPORTS}{helpers}\n\n{self.body()}{CHECK}"


def _switches(layer: Layer | Block) -> tuple[str, ...]:
    return tuple(key for key, _ in layer.settings) if isinstance(layer, Layer) else ()


def _calls(steps: tuple[Step, ...], lines: list[str], defined: dict[str, Layer | Block]) -> None:
    """Definitions and calls; layers are defined before their first call, nested models with their layers."""
    for step in steps:
        layer = step.layer
        if layer.name not in defined:
            defined[layer.name] = layer
            if isinstance(layer, Block):
                lines += [f"{name} = keras.Input({shape})" for name, shape in layer.inputs]
                _calls(layer.steps, lines, defined)
                names = ", ".join(name for name, _ in layer.inputs)
                given = layer.outputs[0] if len(layer.outputs) == 1 else f"[{', '.join(layer.outputs)}]"
                lines.append(f"{layer.name} = keras.Model([{names}], {given}, name={layer.name!r})")
            else:
                lines.append(layer.definition())
        lines.append(step.call())


def load(source: str) -> dict[str, Any]:
    """Names of a script, executed but not as the main program."""
    names: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(source, "<recipe>", "exec"), names)
    return names


Build = Callable[[], Any]
