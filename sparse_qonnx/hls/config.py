"""Options of the generator, as keys of a Python dict or a YAML file; `sparse_qonnx.hls.options` lists them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.hls.options import LAYER_OPTIONS, OPTIONS, PROTOCOLS, Option
from sparse_qonnx.text import shown


@dataclass(frozen=True)
class LayerConfig:
    """Checked options of one layer; None leaves the choice to the generator."""

    variant: str | None = None
    pixels_per_cycle: int | None = None
    inputs_per_cycle: int | None = None
    filters_per_cycle: int | None = None
    channels_per_cycle: int | None = None
    reuse_factor: int | None = None
    strategy: str | None = None
    precision: str | None = None
    implementation: str | None = None
    weights: str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """The options that somebody chose."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class HlsConfig:
    """Checked options; what each means is in `sparse_qonnx.hls.options`."""

    backend: str = "Vitis"
    part: str = "xcu250-figd2104-2L-e"
    clock_period: float = 5.0
    clock_uncertainty: float | str | None = None
    top: str = "sparse_cnn"
    namespace: str | None = None
    interface: str | None = None
    io_type: str = "io_parallel"
    weights: str = "code"
    target_interval: int | None = None
    latency_budget: int | None = None
    multiplier_budget: int | None = None
    design: str = "balanced"
    input_precision: str | Mapping[str, str] = field(default_factory=dict)
    head: str = "table"
    test_events: int = 10
    layers: Mapping[str, LayerConfig] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Mapping[str, Any] | None, **arguments: Any) -> HlsConfig:
        """Check a mapping of options.

        Args:
            given: the mapping.
            arguments: options given by themselves, which go before those of the mapping; None is not given.

        Raises:
            ConfigurationError: an unknown key, an impossible value, or one that is not implemented.
        """
        given = {} if given is None else given
        if not isinstance(given, Mapping):
            raise ConfigurationError("HLS configuration", f"is {shown(given)}", allowed="a mapping from key to value")
        values = {**given, **{key: value for key, value in arguments.items() if value is not None}}
        layers = values.pop("layers", None) or {}
        _check("HLS configuration", values, OPTIONS, ["layers"])
        if not isinstance(layers, Mapping):
            raise ConfigurationError(
                "HLS configuration", f"layers is {shown(layers)}", allowed="a mapping from layer to its options"
            )
        checked = {str(name): _layer(str(name), options) for name, options in layers.items()}
        config = cls(**values, layers=checked)
        _check_ports(config)
        if config.namespace == config.top:
            raise ConfigurationError(
                "HLS configuration", f"namespace is {config.namespace!r}", allowed="another name than top"
            )
        return config

    def layer(self, name: str) -> LayerConfig:
        """Options of one layer."""
        return self.layers.get(name, LayerConfig())

    def as_dict(self) -> dict[str, Any]:
        """The mapping that gives this configuration."""
        values = {key: getattr(self, key) for key in OPTIONS}
        if isinstance(self.input_precision, Mapping):
            values["input_precision"] = dict(self.input_precision)
        return values | {"layers": {name: layer.given for name, layer in self.layers.items()}}


def _check_ports(config: HlsConfig) -> None:
    where, protocol = "HLS configuration", PROTOCOLS[config.io_type]
    if config.interface not in (None, protocol):
        other = next(key for key, value in PROTOCOLS.items() if value == config.interface)
        problem = f"interface is {config.interface!r} and io_type is {config.io_type!r}"
        fix = f"leave interface out, or use io_type: {other}"
        raise ConfigurationError(where, problem, allowed=f"{protocol} with {config.io_type}", fix=fix)
    if config.design == "published" and config.io_type == "io_stream":
        problem = "design is 'published' and io_type is 'io_stream': its reduction searches the whole image at once"
        raise ConfigurationError(where, problem, allowed="balanced", fix="use design: balanced or io_type: io_parallel")


def _layer(name: str, options: object) -> LayerConfig:
    where = f"HLS configuration, layer {name!r}"
    options = {} if options is None else options
    if not isinstance(options, Mapping):
        raise ConfigurationError(where, f"is {shown(options)}", allowed="a mapping from key to value")
    _check(where, options, LAYER_OPTIONS)
    return LayerConfig(**options)


def _check(where: str, given: Mapping[str, Any], known: Mapping[str, Option], others: Iterable[str] = ()) -> None:
    for key, value in given.items():
        option = known.get(key)
        if option is None:
            names = [*known, *others]
            raise ConfigurationError(
                where, f"unknown key {shown(key)}", allowed=", ".join(names), fix=guess(key, names)
            )
        if not option.check(value):
            fix = "" if option.default is None else f"leave it out for {option.default!r}"
            raise ConfigurationError(where, f"{key} is {shown(value)}", allowed=option.allowed, fix=fix)


_LONGEST_GUESS, _MOST_GUESSES = 200, 2000
"""Comparing takes as long as the names are long, times how many there are."""


def guess(given: object, known: Iterable[str]) -> str:
    """The known name that somebody may have meant."""
    if not isinstance(given, str) or len(given) > _LONGEST_GUESS:
        return ""
    close = difflib.get_close_matches(given, list(known)[:_MOST_GUESSES], n=1)
    return f"did you mean {close[0]!r}?" if close else ""
