"""Arrays of exact integers: int64 for as long as a bound proves that nothing overflows, Python integers beyond.

They take part in NumPy's arithmetic as any array does. Every operation works out first how large its result can be, and
goes on in Python integers where that may be 2**62 or more. An operation whose bound is not known here is refused, so
none can overflow unseen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

LIMIT = 1 << 62
"""Magnitudes below it are held as int64. Half of what int64 holds, so that a sign or one more step never matters."""

_REACH: dict[np.ufunc, Callable[..., int]] = {
    np.add: lambda a, b: a + b,
    np.subtract: lambda a, b: a + b,
    np.multiply: lambda a, b: a * b,
    np.floor_divide: lambda a, _: a,
    np.remainder: lambda _, b: b,
    np.minimum: max,
    np.maximum: max,
    np.negative: lambda a: a,
    np.absolute: lambda a: a,
    np.sign: lambda _: 1,
}
"""Largest magnitude of a result from those of the operands."""

_QUESTIONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}
"""Their answers are ordinary arrays of bool."""

_MOVES = {
    np.broadcast_arrays,
    np.broadcast_to,
    np.concatenate,
    np.expand_dims,
    np.moveaxis,
    np.pad,
    np.ravel,
    np.reshape,
    np.sort,
    np.split,
    np.squeeze,
    np.stack,
    np.take,
    np.tile,
    np.transpose,
    np.where,
}
"""Functions whose results hold values of their arguments and no others."""

_PADS = {"constant", "edge", "reflect", "symmetric", "wrap"}
"""Modes of `numpy.pad` that compute nothing."""

_REDUCTIONS = {np.sum: "sum", np.min: "min", np.max: "max"}


class Integers(NDArrayOperatorsMixin):
    """An immutable array of exact integers; behaves as a NumPy array of Python integers would."""

    __slots__ = ("_reach", "values")
    values: Array
    _reach: int | None

    def __init__(self, values: ArrayLike | int, reach: int | None = None) -> None:
        """`values` are integers of any type; `reach` is a magnitude that none of them exceeds, where one is known."""
        if isinstance(values, int) and -LIMIT < values < LIMIT:  # by far the most frequent: numbers in formulas
            self.values, self._reach = np.array(values, dtype=np.int64), abs(values)
            return
        # NumPy reads a list that holds 2**63 as floating-point numbers
        array = np.asarray(values, dtype=None if hasattr(values, "dtype") else object)
        if array.dtype != np.int64:
            array, reach = _settled(array), None
        self.values = array
        self._reach = reach
        if array.dtype == np.int64 and self.reach >= LIMIT:
            self.values = array.astype(object)

    @classmethod
    def of(cls, values: Any) -> Integers:
        """Exact integers from integers of any type; the same object where they are such."""
        return values if isinstance(values, Integers) else cls(values)

    @property
    def reach(self) -> int:
        """A magnitude that no element exceeds: the largest one, unless a bound below 2**62 was known before."""
        if self._reach is None:
            self._reach = self.magnitude
        return self._reach

    @property
    def magnitude(self) -> int:
        """The largest magnitude of an element; 0 where there is none."""
        if not self.values.size:
            return 0
        return max(int(self.values.max()), -int(self.values.min()))

    # ---- NumPy's arithmetic -------------------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """An ordinary array, of Python integers unless another type is asked for."""
        return self.values.astype(object if dtype is None else dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if keywords.get("out") is not None:
            return NotImplemented
        operands = [Integers.of(value) for value in inputs]
        if method == "reduce":
            return _reduced(ufunc, operands[0], **keywords)
        if method != "__call__" or keywords:
            return NotImplemented
        values = [operand.values for operand in operands]
        if ufunc in _QUESTIONS:
            return np.asarray(ufunc(*values), dtype=bool)
        if ufunc not in _REACH:
            return NotImplemented
        if ufunc in (np.floor_divide, np.remainder) and not np.all(values[1]):
            raise ZeroDivisionError("division of integers by 0")
        reach = _REACH[ufunc](*(operand.reach for operand in operands))
        if reach >= LIMIT:
            reach = _REACH[ufunc](*(operand.magnitude for operand in operands))
        if reach >= LIMIT or any(a.dtype == object for a in values):
            return Integers(ufunc(*(a.astype(object) for a in values)))
        return Integers(ufunc(*values), reach)

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        if function in _REDUCTIONS:
            return getattr(arguments[0], _REDUCTIONS[function])(*arguments[1:], **keywords)
        if function in (np.shape, np.size, np.ndim):
            return function(self.values, *arguments[1:])
        if function not in _MOVES:
            return NotImplemented
        if keywords.get("mode", "constant") not in _PADS:
            return NotImplemented
        values = (*arguments, *keywords.values())
        # Beyond int64 a number would make floating-point numbers of the others.
        kind = object if any(isinstance(a, int) and abs(a) >= LIMIT for a in values) else None
        result = function(*(_bare(a, kind) for a in arguments), **{n: _bare(a, kind) for n, a in keywords.items()})
        return Integers(result) if isinstance(result, np.ndarray) else [Integers(part) for part in result]

    # ---- what arrays have ---------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """Dimensions."""
        return self.values.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self.values.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.values.size

    @property
    def T(self) -> Integers:  # noqa: N802
        """Axes in reverse order."""
        return Integers(self.values.T, self._reach)

    @property
    def flat(self) -> Iterator[int]:
        """The elements in row-major order, as Python integers."""
        return iter(self.values.reshape(-1).tolist())

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values.tolist()) if self.ndim == 1 else (self[n] for n in range(len(self)))

    def __getitem__(self, place: Any) -> Any:
        found = self.values[place]
        return Integers(found, self._reach) if isinstance(found, np.ndarray) else int(found)

    def __int__(self) -> int:
        return int(self.values.item())

    __index__ = __int__

    def __bool__(self) -> bool:
        return bool(self.values)

    def __repr__(self) -> str:
        return f"Integers({self.values.tolist()})"

    def tolist(self) -> Any:
        """Nested lists of Python integers."""
        return self.values.tolist()

    def astype(self, dtype: Any) -> Array:
        """An ordinary array of another type."""
        return self.values.astype(dtype)

    def reshape(self, *shape: Any) -> Integers:
        """The elements in another shape."""
        return Integers(self.values.reshape(*shape), self._reach)

    def ravel(self) -> Integers:
        """The elements in one dimension."""
        return self.reshape(-1)

    def transpose(self, *axes: Any) -> Integers:
        """Axes in another order."""
        return Integers(self.values.transpose(*axes), self._reach)

    def squeeze(self, axis: Any = None) -> Integers:
        """Without axes of length 1."""
        return Integers(self.values.squeeze(axis), self._reach)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Sums over axes, all of them by default."""
        return _reduced(np.add, self, axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Smallest elements over axes, all of them by default."""
        return _reduced(np.minimum, self, axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Largest elements over axes, all of them by default."""
        return _reduced(np.maximum, self, axis, keepdims=keepdims)


def integers(values: ArrayLike | int) -> Array:
    """Exact integers from integers of any type; typed as the array that they behave as."""
    return cast("Array", Integers.of(values))


def powers_of_two(exponents: Array) -> Array:
    """2**exponents, element by element; exponents are at least 0."""
    if exponents.size and int(exponents.max()) < LIMIT.bit_length() - 1:
        return integers(np.left_shift(1, exponents.astype(np.int64)))
    return integers(np.array([1 << int(e) for e in exponents.flat], dtype=object).reshape(exponents.shape))


def _settled(array: Array) -> Array:
    """As int64 where every element fits, else as Python integers."""
    if array.dtype.kind not in "iubO":
        if array.size:
            raise TypeError(f"exact integers cannot be made of {array.dtype}")
        return np.zeros(array.shape, dtype=np.int64)
    if array.dtype == np.uint64:
        array = array.astype(object)
    try:
        found = array.astype(np.int64)
    except OverflowError:
        return array
    if array.dtype == object and (found != array).any():
        raise TypeError("exact integers cannot be made of other numbers")
    return found


def _bare(argument: Any, kind: type | None) -> Any:
    """An argument of a NumPy function with ordinary arrays in it, of Python integers where `kind` is object."""
    if isinstance(argument, Integers):
        return argument.values.astype(kind or argument.values.dtype, copy=False)
    if isinstance(argument, (list, tuple)) and any(isinstance(part, Integers) for part in argument):
        return [_bare(part, kind) for part in argument]
    return argument


def _reduced(ufunc: np.ufunc, operand: Integers, axis: Any = 0, keepdims: bool = False, **others: Any) -> Any:
    if ufunc not in (np.add, np.minimum, np.maximum) or others:
        return NotImplemented
    values, reach = operand.values, operand.reach
    if ufunc is np.add:
        axes = range(values.ndim) if axis is None else np.atleast_1d(axis)
        terms = max(math.prod(values.shape[a] for a in axes), 1)
        reach *= terms
        if reach >= LIMIT:
            reach = operand.magnitude * terms
    if reach >= LIMIT:
        values = values.astype(object)
    reduce: Any = ufunc.reduce
    result = reduce(values, axis=axis, keepdims=keepdims)
    return Integers(result, reach) if isinstance(result, np.ndarray) else int(result)
