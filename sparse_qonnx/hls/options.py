"""Every option of the generator: its default, what is allowed, and the sentence that explains it.

One table, read by the checks, by `--write-config` and by the documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sparse_qonnx.hls.identifiers import identifier

Check = Callable[[object], bool]


@dataclass(frozen=True)
class Option:
    """One key.

    Attributes:
        default: what holds where nothing is given; None leaves the choice to the generator.
        check: whether a value is possible at all.
        allowed: the same, for people.
        help: one sentence, for the written configuration.
    """

    default: object
    check: Check
    allowed: str
    help: str


def _one_of(*values: str) -> tuple[Check, str]:
    return lambda value: isinstance(value, str) and value in values, " or ".join([", ".join(values[:-1]), values[-1]])


def _integer(low: int, high: int) -> tuple[Check, str]:
    is_integer: Check = lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high  # noqa: E731
    return is_integer, f"an integer from {low} to {high}"


def _number(low: float, high: float) -> Check:
    return lambda v: isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= high


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _matches(pattern: str) -> Check:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value == identifier(value)


def _is_precision(value: object) -> bool:
    if not isinstance(value, Mapping):
        return isinstance(value, str)
    return all(isinstance(name, str) and isinstance(kind, str) for name, kind in value.items())


_NAME = "a C++ identifier: letters, digits, single underscores, no reserved word and no name that the firmware uses"
PROTOCOLS = {"io_parallel": "ap_vld", "io_stream": "axis"}
"""The protocol of the ports by how an event arrives."""

OPTIONS: dict[str, Option] = {
    "backend": Option(
        "Vitis",
        *_one_of("Vitis", "Vivado", "VitisUnified", "Verilog"),
        "the HLS tool that the scripts are written for, or the hardware itself as Verilog",
    ),
    "part": Option(
        "xcu250-figd2104-2L-e",
        _matches(r"x[acq][a-z0-9]{2,}(-[A-Za-z0-9]+)+"),
        "a part number such as xcu250-figd2104-2L-e or xc7z020clg400-1",
        "FPGA part",
    ),
    "clock_period": Option(5.0, _number(0.1, 1000), "0.1 to 1000 ns", "clock period in ns"),
    "clock_uncertainty": Option(
        None,
        _or_none(lambda v: _number(0, 1000)(v) or _matches(r"[0-9]{1,2}(\.[0-9]+)?%")(v)),
        "ns, or a percentage of the period such as 12.5%; null for the tool's own",
        "what the tool keeps free of the period",
    ),
    "top": Option("sparse_cnn", _is_name, _NAME, "name of the top function and of the files"),
    "namespace": Option(
        None, _or_none(_is_name), f"{_NAME}; null for none", "C++ namespace of types, constants and configurations"
    ),
    "interface": Option(
        None,
        _or_none(_one_of(*PROTOCOLS.values())[0]),
        "ap_vld or axis, the first with io_parallel, the second with io_stream; null for the one that fits",
        "protocol of the ports",
    ),
    "io_type": Option(
        "io_parallel",
        *_one_of(*PROTOCOLS),
        "how an event arrives: all at once, or as a stream of words of one or more pixels, one word a cycle",
    ),
    "weights": Option(
        "code",
        *_one_of("code", "bram"),
        "constants of which a kernel reads some words a cycle: as the tool likes it, or in block RAM",
    ),
    "target_interval": Option(
        None,
        _or_none(_integer(1, 10**6)[0]),
        f"{_integer(1, 10**6)[1]} (cycles); null for that of the slowest stage",
        "cycles from one event to the next that every layer is balanced for",
    ),
    "latency_budget": Option(
        None,
        _or_none(_integer(1, 10**7)[0]),
        f"{_integer(1, 10**7)[1]} (cycles); null for a small multiple of the interval",
        "cycles from an image to its outputs that the whole may take",
    ),
    "multiplier_budget": Option(
        None,
        _or_none(_integer(0, 10**6)[0]),
        f"{_integer(0, 10**6)[1]}; null for no limit",
        "multipliers of two variables that the whole may have",
    ),
    "design": Option(
        "balanced",
        *_one_of("balanced", "published"),
        "factors chosen by the balance, or the fully parallel design of published firmware, for comparison",
    ),
    "input_precision": Option(
        {}, _is_precision, "a type, or a mapping from input name to type", "type of the inputs; {} takes the file's own"
    ),
    "head": Option("table", *_one_of("table", "skip"), "softmax and sigmoid at the end: from tables, or left out"),
    "test_events": Option(10, *_integer(1, 10000), "events of the test bench"),
}
"""Options of the whole project, in the order in which they are written."""


def _factor(what: str) -> Option:
    check, allowed = _integer(1, 10**6)
    return Option(None, _or_none(check), allowed, f"{what} that are worked on in one cycle")


LAYER_OPTIONS: dict[str, Option] = {
    "variant": Option(
        None, _or_none(lambda v: isinstance(v, str)), "the name of a kernel's variant", "which kernel does it"
    ),
    "pixels_per_cycle": _factor("pixels"),
    "inputs_per_cycle": _factor("pixels that an output pixel of a convolution looks at"),
    "filters_per_cycle": _factor("filters"),
    "channels_per_cycle": _factor("channels"),
    "reuse_factor": Option(
        None, _or_none(_integer(1, 10**6)[0]), _integer(1, 10**6)[1], "products that one multiplier takes in turn"
    ),
    "strategy": Option(
        None,
        _or_none(_one_of("latency", "resource", "distributed_arithmetic")[0]),
        _one_of("latency", "resource", "distributed_arithmetic")[1],
        "how a dense layer multiplies",
    ),
    "precision": Option(
        None,
        _or_none(lambda v: isinstance(v, str)),
        "ap_fixed<W,I> or ap_ufixed<W,I> with more integer bits",
        "type of the result",
    ),
    "implementation": Option(
        None, _or_none(_one_of("table", "skip")[0]), _one_of("table", "skip")[1], "of softmax or sigmoid; as `head`"
    ),
    "weights": Option(
        None,
        _or_none(_one_of("code", "bram")[0]),
        _one_of("code", "bram")[1],
        "where its constants are; with bram a kernel is taken that reads them word by word",
    ),
}
"""Options of one layer; None leaves the choice to the generator."""
