"""What an operator says about its hardware: which kernel, with which configuration and constants.

A declaration only, neutral between operators and generator: operators build it, `sparse_qonnx.hls` turns it into C++.
Arguments of a kernel are always its data inputs, its outputs, then its tables, in this order; its template arguments
are the types of the first two and the configuration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.errors import ModelFileError, UnsupportedNodeError
from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.grid import Grid

Array = NDArray[Any]


@dataclass(frozen=True)
class Signed:
    """A configuration number that can be negative, or takes part in signed arithmetic (others are `unsigned`)."""

    value: int


@dataclass(frozen=True)
class Symbol:
    """An enumerator of the kernels, such as `rounding::RND_CONV`."""

    enumeration: str
    name: str


VIEW_RANK = 4
"""Dimensions of the kernels' `view`."""


@dataclass(frozen=True)
class View:
    """An array seen with other dimensions: broadcast, permuted, or cut into windows; see `common/view.h`.

    Attributes:
        shape: dimensions.
        strides: places in the array for a step along each of them; 0 repeats.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def padded(self) -> tuple[int, ...]:
        """Dimensions and strides at the kernels' rank."""
        missing = VIEW_RANK - len(self.shape)
        return (*(1,) * missing, *self.shape, *(0,) * missing, *self.strides)


def view(where: str, shape: Sequence[int], strides: Sequence[int]) -> View:
    """A view with as few dimensions as possible: neighbours that one stride covers become one.

    Raises:
        UnsupportedNodeError: it has more dimensions than the kernels know.
    """
    merged: list[tuple[int, int]] = []
    for size, stride in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if merged and merged[-1][1] == size * stride:
            merged[-1] = (merged[-1][0] * size, stride)
        else:
            merged.append((size, stride))
    if len(merged) > VIEW_RANK:
        allowed = f"{VIEW_RANK} dimensions that cannot be merged"
        raise UnsupportedNodeError(
            where, f"sees {list(shape)} in {len(merged)} strides", allowed=allowed, fix="split it"
        )
    return View(tuple(size for size, _ in merged), tuple(stride for _, stride in merged))


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of an array in row-major order."""
    return tuple(math.prod(shape[n + 1 :]) for n in range(len(shape)))


def broadcast_view(where: str, shape: Sequence[int], source: Sequence[int]) -> View:
    """An array of shape `source` seen as `shape`, by NumPy's broadcasting."""
    own = [0 if size == 1 else stride for size, stride in zip(source, strides_of(source), strict=True)]
    return view(where, shape, [*(0,) * (len(shape) - len(source)), *own])


ConfigValue = int | bool | Signed | Symbol | View | FixedPointType | Grid
"""A member of a configuration struct; a type, the grid a type has to hold, or a view becomes a typedef."""


@dataclass(frozen=True)
class HlsTable:
    """A constant array of the firmware: weights, biases, formats, activation tables.

    Attributes:
        name: what it is, unique within the call; names the array and its type.
        values: integers of any shape, stored in C order; a value is `integer * 2**-frac`.
        frac: bits right of the binary point.
        is_integer: an `ap_int` instead of an `ap_fixed`.
    """

    name: str
    values: Array
    frac: int = 0
    is_integer: bool = False

    @property
    def type(self) -> FixedPointType:
        """The narrowest type that holds every entry."""
        return Grid(self.values, self.values, self.frac).type


@dataclass(frozen=True)
class HlsCall:
    """One kernel call.

    Attributes:
        kernel: stem of the header in `hls_backend/kernels`.
        inputs: positions of the node's inputs that are data (the others are constants, found in `tables`).
        config: members of the generated configuration struct.
        tables: constant arrays, in argument order.
        function: name of the function template; the stem where it is empty.
        coordinate_limits: for outputs that are coordinates, by position: the largest row or column.
        output_types: types of outputs that the proof gives no grid for, by position (activation tables).
        tolerances: stated largest error of such an output, by position.
        notes: sentences for the report and the generated comments.
    """

    kernel: str
    inputs: tuple[int, ...] = (0,)
    config: Mapping[str, ConfigValue] = field(default_factory=dict)
    tables: tuple[HlsTable, ...] = ()
    function: str = ""
    coordinate_limits: Mapping[int, int] = field(default_factory=dict)
    output_types: Mapping[int, FixedPointType] = field(default_factory=dict)
    tolerances: Mapping[int, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def function_name(self) -> str:
        """The function template that is called."""
        return self.function or self.kernel

    def with_config(self, **changes: ConfigValue) -> HlsCall:
        """The same call with some members of its configuration replaced or added."""
        return replace(self, config={**self.config, **changes})

    def table(self, name: str) -> HlsTable:
        """The table of that name."""
        return next(t for t in self.tables if t.name == name)


@dataclass(frozen=True)
class HlsAlias:
    """No hardware at all: the first output is input `input` seen with another shape or name.

    Attributes:
        input: position of that input.
        divisor: what the stored numbers are to be divided by, beside what they are already.
    """

    input: int = 0
    divisor: int = 1


def numerators(grid: Grid, divisor: int = 1) -> Array:
    """A constant's integers on its own grid, as numerators over `divisor`."""
    values: Array = np.asarray(grid.lo, dtype=object) * divisor
    return values


def sample_shape(shape: Sequence[int | str | None]) -> tuple[int, ...]:
    """The static shape of one event, without the batch dimension.

    Raises:
        ModelFileError: a dimension other than the batch is not a number.
    """
    known = tuple(d for d in shape[1:] if isinstance(d, int))
    if not shape or len(known) != len(shape) - 1:
        allowed = "one symbolic dimension, the first"
        raise ModelFileError(f"shape {list(shape)}", "is not static", allowed=allowed, fix="fix the input shape")
    return known


def factor(name: str, value: int) -> dict[str, ConfigValue]:
    """Configuration of a constant integer factor and the type that holds it."""
    width = max(value.bit_length(), 1)
    return {f"{name}_factor": value, f"{name}_factor_t": FixedPointType(False, width, width)}
