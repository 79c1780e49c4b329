"""Which tensors of a file hold numerators: values times a whole number, because their division is still to be made.

The file says so in its quantization annotations, ONNX's place for facts about a tensor; tools that rename tensors know
it. Arithmetic does not depend on it: it is for who shows values, or compares them with another implementation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, StringStringEntryProto, TensorAnnotation

from sparse_qonnx.grid import Grid

Array = NDArray[Any]

_DIVISOR = "sparse_qonnx.divisor"
_VALUE = "sparse_qonnx.value"


@dataclass(frozen=True)
class Numerators:
    """What a tensor of numerators stands for.

    Attributes:
        value: name of the values, which no tensor of the file holds.
        divisor: the tensor divided by it gives them.
    """

    value: str
    divisor: int

    def grid_of_values(self, grid: Grid) -> Grid:
        """Where the values lie, given where the numerators do."""
        return Grid(grid.lo, grid.hi, grid.frac, grid.divisor * self.divisor, grid.rounded, grid.occupancy)


def read_numerators(model: ModelProto) -> dict[str, Numerators]:
    """The tensors of a file that hold numerators, by name; statements that make no sense are left out."""
    found = {}
    made = {name for node in model.graph.node for name in node.output}
    for annotation in model.graph.quantization_annotation:
        entries = {e.key: e.value for e in annotation.quant_parameter_tensor_names}
        divisor, value = entries.get(_DIVISOR, ""), entries.get(_VALUE, "")
        if annotation.tensor_name in made and divisor.isdecimal() and int(divisor) > 1 and value not in ("", *made):
            found[annotation.tensor_name] = Numerators(value, int(divisor))
    return found


def as_annotations(numerators: Mapping[str, Numerators]) -> list[TensorAnnotation]:
    """What says it in a file."""
    found = []
    for name, stated in numerators.items():
        annotation = TensorAnnotation(tensor_name=name)
        for key, value in ((_DIVISOR, str(stated.divisor)), (_VALUE, stated.value)):
            annotation.quant_parameter_tensor_names.append(StringStringEntryProto(key=key, value=value))
        found.append(annotation)
    return found


class ValueNames:
    """Names of values in place of those of the numerators that a file holds.

    Args:
        model: the file.
    """

    def __init__(self, model: ModelProto) -> None:
        self._stated = read_numerators(model)
        self._held = {stated.value: name for name, stated in self._stated.items()}

    @property
    def values(self) -> list[str]:
        """Names of values of which the file holds numerators."""
        return list(self._held)

    def shown(self, tensor: str) -> str:
        """The name under which people know what a tensor holds."""
        return self._stated[tensor].value if tensor in self._stated else tensor

    def held(self, name: str) -> str:
        """The tensor of the file that holds it, or its numerators."""
        return self._held.get(name, name)

    def all_held(self, names: Iterable[str]) -> list[str]:
        """The tensors that have to be computed, each once."""
        return list(dict.fromkeys(map(self.held, names)))

    def given(self, names: Iterable[str], found: Mapping[str, Array]) -> dict[str, Array]:
        """What is asked for, tensors or values, from the tensors."""
        return {
            n: values_of(self._stated[self._held[n]], found[self._held[n]]) if n in self._held else found[n]
            for n in names
        }


def values_of(stated: Numerators, numerators: Array) -> Array:
    """The values that a tensor of numerators stands for, correctly rounded to float64."""
    values: Array = np.asarray(numerators).astype(np.float64) / stated.divisor
    return values
