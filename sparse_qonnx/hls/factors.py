"""What each kernel can be: its variants and parallel factors, and what each of them costs.

Costs are pencil counts of multiplier and selector bits, good enough to compare designs; `project.census()` counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from numpy.typing import NDArray

from sparse_qonnx.hls.config import LayerConfig
from sparse_qonnx.hls.streaming import MAX_WORD_BITS, stored_bits
from sparse_qonnx.hls.typed import Layer
from sparse_qonnx.hlscall import ConfigValue, HlsCall

SCANNED_ROWS = 4
"""Rows of an image that the balance lets a scan look at in one cycle; beyond, few cycles are left to be saved."""


@dataclass(frozen=True)
class Design:
    """One way to build a layer.

    Attributes:
        variant: its name in the configuration.
        factors: options of the configuration that give it.
        call: the kernel call.
        multipliers: of two variables.
        bits: of multipliers and selectors.
    """

    variant: str
    factors: Mapping[str, int]
    call: HlsCall
    multipliers: int = 0
    bits: float = 0


STRATEGIES = {"dense": "latency", "dense_reuse": "resource", "dense_adders": "distributed_arithmetic"}
"""How a dense layer multiplies, by kernel."""

STORAGE = {"weights": ("code", "bram")}

ROMS: Mapping[str, tuple[str, ...]] = {
    "dense_reuse": ("weights",),
    "sparse_dense": ("weights",),
    "gather": ("values",),
    "sigmoid": ("values",),
    "softmax": ("exp_coarse", "exp_fine", "inverse"),
}
"""Tables of which a kernel reads some words a cycle, and which can therefore be in block RAM."""


def supported(layer: Layer) -> Mapping[str, Sequence[object]]:
    """Values of each option that the layer's kernel implements."""
    c = _Numbers(layer.call)
    match layer.call.kernel:
        case "input_reduce":
            pixels = tuple(p for p in _chunks(c) if _fits(layer, p))
            at_once = () if layer.inputs[0].values_per_word else ("tree",)
            return {"variant": ("stream", "chunk", "scan", *at_once), "pixels_per_cycle": pixels}
        case "sparse_conv":
            slots = range(1, c.n_slots + 1)
            filters = divisors(c.n_filters) if c.n_groups == 1 else (c.n_filters,)
            return {
                "variant": ("pairs", "gather"),
                "pixels_per_cycle": slots,
                "inputs_per_cycle": slots,
                "filters_per_cycle": filters,
                "channels_per_cycle": divisors(c.n_channels // c.n_groups),
            }
        case "sparse_pool":
            return {"pixels_per_cycle": range(1, c.n_slots + 1)}
        case "dense":
            choices = {"reuse_factor": range(1, c.n_inputs + 1), "strategy": tuple(STRATEGIES.values()), **STORAGE}
            return {"variant": ("matrix", "sparse"), "pixels_per_cycle": range(1, c.n_inputs + 1), **choices}
        case "sparse_dense":
            return {"variant": ("matrix", "sparse"), "pixels_per_cycle": range(1, c.n_slots + 1), **STORAGE}
        case "conv":
            return {"pixels_per_cycle": range(1, c.out_0 * c.out_1 * c.out_2 + 1)}
        case "gather":
            return {"pixels_per_cycle": range(1, c.n_pixels + 1), **STORAGE}
        case "softmax" | "sigmoid":
            return {"implementation": ("table", "skip"), **STORAGE}
    return {}


def designs(layer: Layer, asked: LayerConfig) -> list[Design]:
    """Every way to build the layer that has the options somebody asked for."""
    kinds = {
        "input_reduce": _reductions,
        "sparse_conv": _convolutions,
        "sparse_pool": _pools,
        "sparse_dense": _sparse_dense,
        "dense": _dense,
        "conv": _windows,
        "gather": _lookups,
    }
    enumerate_designs = kinds.get(layer.call.kernel)
    if enumerate_designs is None:
        return [Design("", {}, layer.call)]
    apart = ("precision", "implementation", "strategy", "weights")
    wanted = {k: v for k, v in asked.given.items() if k not in apart}
    return [design for design in enumerate_designs(layer, asked) if _has(design, asked, wanted)]


def _has(design: Design, asked: LayerConfig, wanted: Mapping[str, object]) -> bool:
    given: dict[str, object] = {"variant": design.variant, **design.factors}
    function = design.call.function_name
    if asked.strategy is not None and STRATEGIES.get(function) != asked.strategy:
        return False
    if asked.weights == "bram" and not ROMS.get(function):
        return False
    return all(given.get(key) == value for key, value in wanted.items())


def divisors(n: int) -> tuple[int, ...]:
    """All divisors, ascending."""
    return tuple(d for d in range(1, n + 1) if n % d == 0)


def paces(n: int, asked: int | None = None) -> list[int]:
    """Per-cycle factors that lead to different numbers of cycles for n pieces of work, ascending."""
    return [asked] if asked is not None else sorted({-(-n // cycles) for cycles in range(1, n + 1)})


class _Numbers:
    """Configuration members of a call, as numbers."""

    def __init__(self, call: HlsCall) -> None:
        self._config = call.config

    def __getattr__(self, name: str) -> int:
        value: ConfigValue = self._config[name]
        assert isinstance(value, int)
        return value


# ---- the kernels ----------------------------------------------------------------------------------------------------


def _reductions(layer: Layer, asked: LayerConfig) -> Iterator[Design]:
    call, c, values = layer.call, _Numbers(layer.call), layer.outputs[0]
    # The selector of an image that is there as a whole.
    image_bits = (
        0 if layer.inputs[0].values_per_word else c.height * c.width * c.n_channels * layer.inputs[0].type.width
    )
    item = c.n_channels * values.type.width
    stream = call.with_config(pixels_per_cycle=1)
    yield Design("stream", {"pixels_per_cycle": 1}, _as(stream, "input_reduce_stream"), 0, image_bits)
    for pixels in [asked.pixels_per_cycle] if asked.pixels_per_cycle else _chunks(c):
        if not _fits(layer, pixels):
            continue
        selector = image_bits if pixels < c.height * c.width else 0
        is_chosen = asked.pixels_per_cycle is not None
        if is_chosen or pixels <= c.width:
            chunk = _as(call.with_config(pixels_per_cycle=pixels), "input_reduce_chunk")
            bits = 2 * (item + pixels.bit_length()) * _moves(pixels, c.n_slots)
            yield Design("chunk", {"pixels_per_cycle": pixels}, chunk, 0, bits + selector)
        if is_chosen or pixels <= SCANNED_ROWS * c.width:
            scan = _as(call.with_config(pixels_per_cycle=pixels), "input_reduce_scan")
            bits = pixels * (item + 8)
            yield Design("scan", {"pixels_per_cycle": pixels}, scan, 0, bits + selector)
    if asked.variant == "tree":
        n_pixels = c.height * c.width
        interval = 2 if n_pixels <= 200 else 3 if n_pixels <= 2000 else 4  # what published reports reach
        config = {key: value for key, value in call.config.items() if key != "pixels_per_cycle"}
        tree = replace(call, function="input_reduce_tree", config={**config, "initiation_interval": interval})
        yield Design("tree", {}, tree, 0, 2 * n_pixels * (item + 2 * layer.outputs[1].type.width))


def _chunks(c: _Numbers) -> list[int]:
    """Pixels that a reduction can look at in one cycle: a part of a row, or whole rows."""
    return [*range(1, c.width + 1), *range(2 * c.width, c.height * c.width + 1, c.width)]


def _fits(layer: Layer, pixels: int) -> bool:
    """Whether so many pixels can arrive in one cycle."""
    image = layer.inputs[0]
    is_stream = image.values_per_word > 0
    return not is_stream or pixels * image.shape[-1] * stored_bits(image.type) <= MAX_WORD_BITS


def _moves(pixels: int, n_slots: int) -> int:
    """Two-way selections of whole pixels in the networks of `input_reduce_chunk`."""
    distances = [1 << level for level in range((pixels - 1).bit_length())]
    reach = 2 * distances[-1] if distances else 1
    compacting = sum(max(0, min(pixels - d, n_slots + reach - 2 * d)) for d in distances)
    return compacting + sum(n_slots - (1 << level) for level in range(n_slots.bit_length()))


def _convolutions(layer: Layer, asked: LayerConfig) -> Iterator[Design]:
    call, c = layer.call, _Numbers(layer.call)
    n, filters, channels = c.n_slots, c.n_filters, c.n_channels // c.n_groups
    x, w = layer.inputs[0].type.width, call.table("weights").type.width
    positions = c.kernel_height * c.kernel_width
    index_bits = 2 * (positions * filters * channels).bit_length()
    filter_paces = divisors(filters) if c.n_groups == 1 else (filters,)
    whole = (n, filters, channels)
    every = list(product(paces(n, asked.inputs_per_cycle), filter_paces, divisors(channels)))
    # Several pixels in a cycle make sense where all else is whole; with parts of it, somebody has to ask for them.
    several = every if asked.given else [factors for factors in every if factors == whole]
    pairs = ((p, each) for p in paces(n, asked.pixels_per_cycle) for each in (every if p == 1 else several))
    for p, (q, f, k) in pairs:
        is_whole = (q, f, k) == whole
        factors = {"pixels_per_cycle": p, "inputs_per_cycle": q, "filters_per_cycle": f, "channels_per_cycle": k}
        multipliers = p * q * f * k
        selected = 0 if is_whole and p == n else (q < n) * p * q * x * k * 2 + p * n * 12
        bits = multipliers * x * w + p * q * index_bits + selected
        yield Design("pairs", factors, _as(call.with_config(**factors), "sparse_conv_pairs"), multipliers, bits)
    gates = positions * n * c.n_channels * x / (2 if call.config["is_raster_order"] else 1)
    constants = positions * channels * filters * x * max(w - 2, 1)
    for p in paces(n, asked.pixels_per_cycle):
        factors = {"pixels_per_cycle": p}
        design = _as(call.with_config(**factors), "sparse_conv_gather")
        yield Design("gather", factors, design, 0, p * (gates + constants))


def _pools(layer: Layer, asked: LayerConfig) -> Iterator[Design]:
    c, x = _Numbers(layer.call), layer.inputs[0].type.width
    for p in paces(c.n_slots, asked.pixels_per_cycle):
        call = layer.call.with_config(pixels_per_cycle=p)
        yield Design("", {"pixels_per_cycle": p}, call, 0, p * c.n_slots * (c.n_channels * x + 8))


def _sparse_dense(layer: Layer, asked: LayerConfig) -> Iterator[Design]:
    c, x, w = _Numbers(layer.call), layer.inputs[0].type.width, layer.call.table("weights").type.width
    for p in paces(c.n_slots, asked.pixels_per_cycle):
        call, multipliers = layer.call.with_config(pixels_per_cycle=p), p * c.n_channels * c.n_outputs
        yield Design("sparse", {"pixels_per_cycle": p}, call, multipliers, multipliers * x * w + c.n_slots * x)


def _dense(layer: Layer, asked: LayerConfig) -> Iterator[Design]:
    if layer.call.function_name == "dense_adders":
        yield Design("matrix", {"reuse_factor": 1}, layer.call)
        return
    call, c, table = layer.call, _Numbers(layer.call), layer.call.table("weights")
    x, w = layer.inputs[0].type.width, table.type.width
    constant_bits = _constant_bits(table.values)
    yield Design("matrix", {"reuse_factor": 1}, _as(call, "dense"), 0, c.n_rows * x * constant_bits)
    for reuse in [asked.reuse_factor] if asked.reuse_factor else range(2, c.n_inputs + 1):
        if reuse == 1:
            continue
        lanes = -(-c.n_inputs // reuse)
        multipliers = lanes * c.n_outputs
        folded = _as(call.with_config(inputs_per_cycle=lanes), "dense_reuse")
        bits = multipliers * x * w + c.n_rows * c.n_inputs * x
        yield Design("matrix", {"reuse_factor": reuse}, folded, multipliers, bits)


def _windows(layer: Layer, asked: LayerConfig) -> Iterator[Design]:
    call, c, table = layer.call, _Numbers(layer.call), layer.call.table("weights")
    x, pixels = layer.inputs[0].type.width, c.out_0 * c.out_1 * c.out_2
    constant_bits = _constant_bits(table.values)
    selected = c.kernel_0 * c.kernel_1 * c.kernel_2 * c.n_channels * pixels * x
    for p in paces(pixels, asked.pixels_per_cycle):
        bits = p * x * constant_bits + (selected if p < pixels else 0)
        yield Design("", {"pixels_per_cycle": p}, call.with_config(pixels_per_cycle=p), 0, bits)


def _lookups(layer: Layer, asked: LayerConfig) -> Iterator[Design]:
    c, table = _Numbers(layer.call), layer.call.table("values")
    for p in paces(c.n_pixels, asked.pixels_per_cycle):
        call, bits = layer.call.with_config(pixels_per_cycle=p), p * c.n_channels * c.table_size * table.type.width
        yield Design("", {"pixels_per_cycle": p}, call, 0, bits)


def _constant_bits(values: NDArray[Any]) -> int:
    """Bits between the first and the last 1 of every constant: what products by them cost."""
    counts = Counter(map(int, values.flat))
    return sum((abs(m) // (m & -m)).bit_length() * count for m, count in counts.items() if m)


def _as(call: HlsCall, function: str) -> HlsCall:
    return replace(call, function=function)
