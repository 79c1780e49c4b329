"""Which function exports which Keras class: filled by the modules in `handlers/`, found by folder."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparse_qonnx.export.call import LayerCall
    from sparse_qonnx.export.values import Value

Handler = Callable[["LayerCall"], "Value | tuple[Value, ...]"]

_HANDLERS: dict[str, Handler] = {}
_ANY_NUMBERS: set[Handler] = set()
_ANY_TYPES: set[Handler] = set()


def handler(*classes: str, any_numbers: bool = False, any_types: bool = False) -> Callable[[Handler], Handler]:
    """Register the decorated function for Keras classes given by dotted name, `keras.layers.ReLU`.

    Only exactly these classes are served: a subclass may compute something else.

    Args:
        classes: dotted names.
        any_numbers: whether the handler also serves floating-point tensors, behind softmax or a layer on no grid.
        any_types: whether it also serves integers and truth values; others get them as float32.
    """

    def register(function: Handler) -> Handler:
        for name in classes:
            _HANDLERS[name] = function
        if any_numbers:
            _ANY_NUMBERS.add(function)
        if any_types:
            _ANY_TYPES.add(function)
        return function

    return register


@cache
def registered() -> dict[str, Handler]:
    """All handlers by dotted name of the class they serve, in alphabetical order."""
    from sparse_qonnx.export import handlers

    for module in pkgutil.iter_modules(handlers.__path__):
        importlib.import_module(f"{handlers.__name__}.{module.name}")
    return dict(sorted(_HANDLERS.items()))


@cache
def _by_class() -> dict[type[Any], Handler]:
    found: dict[type[Any], Handler] = {}
    for name, function in registered().items():
        module, _, attribute = name.rpartition(".")
        # a class that this release of Keras or HGQ2 does not have yet, or no longer has, is nobody's
        with contextlib.suppress(ImportError, AttributeError):
            found[getattr(importlib.import_module(module), attribute)] = function
    return found


def takes_any_numbers(function: Handler) -> bool:
    """Whether a handler serves floating-point tensors as well as fixed-point ones."""
    return function in _ANY_NUMBERS


def takes_any_types(function: Handler) -> bool:
    """Whether a handler serves integers and truth values as they are."""
    return function in _ANY_TYPES


def find_handler(cls: type[Any]) -> Handler | None:
    """The function that exports layers of this class, None where there is none."""
    return _by_class().get(cls)
