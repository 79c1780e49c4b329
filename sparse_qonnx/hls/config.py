"""Options of the generator, as keys of a Python dict or a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.hls.identifiers import identifier

HEADS = ("table", "skip")


@dataclass(frozen=True)
class HlsConfig:
    """Checked options.

    Attributes:
        input_precision: `ap_[u]fixed<W,I>` of every input, or a mapping from input name; {} takes the file's own.
        head: softmax and sigmoid at the end as a `table`, or `skip` them: the output is then the logits.
        top: name of the top function and of the project's files.
        test_events: events of the test bench.
    """

    input_precision: str | Mapping[str, str] = field(default_factory=dict)
    head: str = "table"
    top: str = "sparse_cnn"
    test_events: int = 10

    @classmethod
    def read(cls, given: Mapping[str, Any] | None) -> HlsConfig:
        """Check a mapping of options.

        Raises:
            ConfigurationError: an unknown key or an impossible value.
        """
        given = {} if given is None else given
        if not isinstance(given, Mapping):
            raise ConfigurationError("HLS configuration", f"is {given!r}", allowed="a mapping from key to value")
        known = [f.name for f in fields(cls)]
        for key in given:
            if key not in known:
                raise ConfigurationError("HLS configuration", f"unknown key {key!r}", allowed=", ".join(known))
        config = cls(**given)
        _require(config.head in HEADS, "head", config.head, " or ".join(HEADS))
        is_name = isinstance(config.top, str) and config.top == identifier(config.top)
        _require(is_name, "top", config.top, "a C++ identifier: letters, digits, single underscores, no reserved word")
        is_count = isinstance(config.test_events, int) and not isinstance(config.test_events, bool)
        _require(is_count and 1 <= config.test_events <= 10000, "test_events", config.test_events, "1 to 10000")
        precision = config.input_precision
        is_precision = isinstance(precision, str | Mapping)
        _require(is_precision, "input_precision", precision, "a type, or a mapping from input name to type")
        return config


def _require(holds: bool, key: str, value: object, allowed: str) -> None:
    if not holds:
        raise ConfigurationError("HLS configuration", f"{key} is {value!r}", allowed=allowed)
