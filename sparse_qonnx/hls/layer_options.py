"""Options of single layers: what each kernel can do, and what was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparse_qonnx.errors import ConfigurationError, PrecisionError
from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.grid import Grid
from sparse_qonnx.hls.config import HlsConfig, guess
from sparse_qonnx.hls.factors import supported
from sparse_qonnx.hls.options import LAYER_OPTIONS
from sparse_qonnx.hls.typed import Layer, TypedGraph
from sparse_qonnx.text import shown

Allowed = Sequence[object]
MANY = 12
"""More values than these are not listed one by one."""


def check_layers(config: HlsConfig, graph: TypedGraph) -> None:
    """Refuse options of layers that are not there, and options that their kernels do not implement.

    Raises:
        ConfigurationError: with the name of the layer and of the key.
    """
    layers = {layer.node: layer for layer in graph.layers if layer.is_node}
    for name, options in config.layers.items():
        where = f"HLS configuration, layer {name!r}"
        if name in graph.skipped and set(options.given) <= {"implementation"}:
            continue
        if name not in layers:
            allowed = ", ".join([*layers, *graph.skipped])
            raise ConfigurationError(where, "is not in the firmware", allowed=allowed, fix=guess(name, layers))
        possible = supported(layers[name])
        for key, value in options.given.items():
            _check(where, key, value, layers[name], possible)


def _check(where: str, key: str, value: object, layer: Layer, possible: Mapping[str, Allowed]) -> None:
    if key == "precision":
        return  # checked where the type is known: see widened()
    if key not in possible:
        names = ", ".join([*possible, "precision"])
        problem = f"{key} is {shown(value)}, not implemented for kernel {layer.call.kernel!r}"
        raise ConfigurationError(where, problem, allowed=names, fix=f"leave {key} out: {LAYER_OPTIONS[key].help}")
    if value not in possible[key]:
        raise ConfigurationError(where, f"{key} is {shown(value)}", allowed=listed(possible[key]))


def listed(values: Allowed) -> str:
    """Allowed values, for people."""
    if isinstance(values, range):
        return f"{values[0]} to {values[-1]}"
    shown = values if len(values) <= MANY else [*values[: MANY // 2], "...", *values[-MANY // 4 :]]
    return ", ".join(map(str, shown))


def widened(name: str, wanted: str, grid: Grid) -> FixedPointType:
    """The type somebody wants a layer's result to have.

    Only more bits in front of the binary point are exact without changing what comes after.

    Raises:
        PrecisionError: no type, or one that could lose a bit.
    """
    where = f"HLS configuration, layer {name!r}"
    derived = grid.type
    allowed = f"{derived}, or more integer bits at the same {derived.frac} fractional bits"
    try:
        given = FixedPointType.parse(wanted)
    except PrecisionError as error:
        raise PrecisionError(where, f"precision is {shown(wanted)}, no type", allowed=allowed) from error
    if given.frac != derived.frac or given.lowest > grid.lowest or given.highest < grid.highest:
        problem = f"precision is {shown(wanted)}, but the results need {derived}"
        raise PrecisionError(where, f"{problem}: bits could be lost", allowed=allowed, fix="widen it or leave it out")
    return given
