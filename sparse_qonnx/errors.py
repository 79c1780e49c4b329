"""Exception types. Every message names the thing, the value, what is allowed, and the fix."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from sparse_qonnx.text import printable

_NUMPY = re.compile(r"\bnp\.(?:(?:bool|u?int|float|str)\w*\(([^()]*)\)|(True|False)_)")
"""How NumPy shows a number that stands in a tuple: a reader wants the number."""


class SparseQonnxError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        where: the node, layer, file or configuration key that is at fault.
        problem: what is wrong there, with the attribute and its value.
        allowed: what would have been accepted.
        fix: what the reader can do about it.
    """

    def __init__(self, where: str, problem: str, *, allowed: str = "", fix: str = "") -> None:
        self.where = where
        self.problem = problem
        self.allowed = allowed
        self.fix = fix
        super().__init__(self.message())

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors cross processes: Python would rebuild one from its message alone."""
        return partial(type(self), allowed=self.allowed, fix=self.fix), (self.where, self.problem)

    def message(self) -> str:
        """The whole message on one printable line: where, problem, allowed, fix."""
        parts = [f"{self.where}: {self.problem}"]
        if self.allowed:
            parts.append(f"Allowed: {self.allowed}")
        if self.fix:
            parts.append(f"Fix: {self.fix}")
        return ". ".join(_NUMPY.sub(r"\1\2", printable(part)).rstrip(".") for part in parts) + "."


class UnsupportedLayerError(SparseQonnxError):
    """A Keras layer, or a setting of it, that cannot be exported exactly."""


class UnsupportedNodeError(SparseQonnxError):
    """An ONNX node for which there is no rule or no hardware."""


class PrecisionError(SparseQonnxError):
    """A number format that cannot be represented, derived, or proven exact."""


class ModelFileError(SparseQonnxError):
    """A model file that is missing, corrupt, or not what it claims to be."""


class InputDataError(SparseQonnxError):
    """Input data of the wrong shape, type or range."""


class OutputPathError(SparseQonnxError):
    """An output file or folder that is in use or cannot be written."""


class ConfigurationError(SparseQonnxError):
    """A configuration key or value that is unknown or impossible."""


class ToolError(SparseQonnxError):
    """An external tool (g++, Vitis HLS, a Python extra) that is missing or failed."""


class NetlistError(SparseQonnxError):
    """A netlist that is not of its format, does not hold, or cannot become hardware."""
