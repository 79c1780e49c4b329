"""Dataclasses from JSON that somebody else may have written: every field is what its class says, or it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")

_KINDS: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}


def from_record(kind: type[T], data: Mapping[str, Any]) -> T:
    """An object of a dataclass whose fields are texts and numbers, as `dataclasses.asdict` gave it.

    Raises:
        TypeError: a field is missing, unknown, of another type.
        ValueError: a count is negative.
    """
    for field in fields(kind):  # type: ignore[arg-type]
        value = data.get(field.name)
        if field.name in data and (isinstance(value, bool) or not isinstance(value, _KINDS[str(field.type)])):
            raise TypeError(f"{field.name} is {value!r}")
        if field.type == "int" and isinstance(value, int) and value < 0:
            raise ValueError(f"{field.name} is {value}")
    return kind(**data)
