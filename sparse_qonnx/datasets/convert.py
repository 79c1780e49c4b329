"""Events of any numeric type as floating point, without a change of value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.errors import InputDataError

Array = NDArray[Any]

_EXACT = 1 << 24
"""Up to here float32 holds every integer."""


def check_kind(where: str, dtype: np.dtype[Any]) -> None:
    """Refuse events that are no numbers, or of a type that holds more than float64.

    Raises:
        InputDataError: of complex numbers, text, dates, records, or wider than 8 bytes.
    """
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        allowed = "integers, booleans, float16, float32, or float64, which is rounded to float32"
        raise InputDataError(where, f"has type {dtype}", allowed=allowed, fix="convert it with x.astype(np.float32)")


def as_float(where: str, values: Array) -> Array:
    """The same numbers as float32; float64 stays as it is.

    Raises:
        InputDataError: no numbers, or integers that float32 does not hold.
    """
    check_kind(where, values.dtype)
    if values.dtype == np.float64:
        return values
    if values.dtype.kind in "iu" and values.dtype.itemsize > 2 and values.size:
        least, most = int(values.min()), int(values.max())
        if max(-least, most) > _EXACT:
            worst = most if most > -least else least
            fix = "scale the events to the input type of the model"
            raise InputDataError(where, f"holds {worst}", allowed=f"integers of at most {_EXACT}, as float32", fix=fix)
    return values.astype(np.float32, copy=False)


def as_type(where: str, values: Array, dtype: np.dtype[Any]) -> Array:
    """The same numbers in the type of an input of a model; floating-point ones may be rounded to float32.

    Raises:
        InputDataError: integers that float32 does not hold, or what is none where the input is of integers.
    """
    if dtype.kind == "f":
        return as_float(where, values).astype(dtype, copy=False)
    check_kind(where, values.dtype)
    if dtype.kind not in "iub":
        raise InputDataError(where, f"is an input of {dtype}", allowed="models whose inputs are numbers")
    limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    wrong = values[~((values >= limits[0]) & (values <= limits[1]) & (np.floor(values) == values))]
    if wrong.size:
        raise InputDataError(where, f"holds {wrong.flat[0]}", allowed=f"integers from {limits[0]} to {limits[1]}")
    return values.astype(dtype, copy=False)


def as_float32(where: str, values: Array) -> NDArray[np.float32]:
    """The same numbers as float32; float64 is rounded to it.

    Raises:
        InputDataError: see `as_float`.
    """
    return as_float(where, values).astype(np.float32, copy=False)
