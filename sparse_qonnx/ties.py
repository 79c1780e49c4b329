"""Ties: where a quantizer behind a carried division stands exactly between two of its values, or a sum is exactly 0.

The file divides an exact numerator, so it decides a tie by the rounding mode. Keras adds up quotients, each rounded
once: where the exact sum is a tie, its own is a hair beside it or not, and it decides by luck. Only such values, and
what is computed from them, may differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from sparse_qonnx.fixed import QuantizerFormat, RoundingMode
from sparse_qonnx.graph import all_values, initializers
from sparse_qonnx.numerators import Numerators, read_numerators
from sparse_qonnx.passes.infer_grids import Proof, node_context
from sparse_qonnx.standard import rule_of
from sparse_qonnx.standard.cast import Cast
from sparse_qonnx.standard.div import Div
from sparse_qonnx.uses import reads

Array = NDArray[Any]

_BETWEEN = {RoundingMode.TRN: 1, RoundingMode.TRN_ZERO: 1}
"""Denominator, in steps, of the numbers at which a rounding jumps: whole numbers for these, halves for the others."""


@dataclass(frozen=True)
class _Quantizer:
    """A quantizer that reads a quotient.

    Attributes:
        result: what it makes.
        numerators: the exact tensor that is divided.
        divisor: by which.
        format: what it does.
        coords: the pixels at which its formats are read; "" where they are not.
        behind: every tensor that depends on it, itself among them.
    """

    result: str
    numerators: str
    divisor: int
    format: QuantizerFormat
    coords: str
    behind: frozenset[str]


@dataclass(frozen=True)
class _Sum:
    """The sums of an operator that adds a bias where they are not 0.

    Attributes:
        result: numerators of the sums with their bias.
        source: what is summed, or the name of its values.
        value: name of the values.
        divisor: of the numerators.
        behind: every tensor that depends on it, itself among them.
    """

    result: str
    source: str
    value: str
    divisor: int
    behind: frozenset[str]

    def events(self, exact: Mapping[str, Array], other: Mapping[str, Array]) -> Array:
        """Events in which a sum is 0, where nothing else differs if that can be seen."""
        theirs = other.get(self.value)
        sums, divisor = (exact[self.result], self.divisor) if self.result in exact else (exact[self.value], 1)
        is_zero = sums == 0
        if theirs is None or theirs.shape != sums.shape:
            found = is_zero.any(axis=2) & exact[self.source].any(axis=2)
            return found.any(axis=1)  # type: ignore[no-any-return]
        ours = sums.astype(np.float64) / divisor
        differs = np.abs(ours - theirs) > _NEAR * max(1.0, float(np.abs(ours).max(initial=0.0)))
        return differs.any(axis=(1, 2)) & ~(differs & ~is_zero).any(axis=(1, 2))  # type: ignore[no-any-return]


_NEAR = 2.0**-30
"""Less than any bias, more than what is left of a sum of quotients in float64 that should be 0."""


class Ties:
    """Finds the events of a batch in which another implementation may decide otherwise.

    Args:
        model: the file.
        proof: its proof.
    """

    def __init__(self, model: ModelProto, proof: Proof) -> None:
        self._quantizers = list(_quantizers(model, proof))
        self._sums = list(_sums(model))

    def __bool__(self) -> bool:
        """Whether there is any quantizer behind a division."""
        return bool(self._quantizers or self._sums)

    def excused(self, exact: Mapping[str, Array], other: Mapping[str, Array]) -> dict[str, Array]:
        """By tensor the events `[B]` that stand on a tie which the other implementation may have decided otherwise.

        Args:
            exact: tensors as the file has them, the numerators among them.
            other: those of the other implementation. One that shows the quantizer's result has decided otherwise where
                it differs there; of one that does not, any tie counts.
        """
        found: dict[str, Array] = {}
        for each in self._sums:
            known = each.source in exact and (each.result in exact or each.value in exact)
            events = each.events(exact, other) if known else np.zeros(1, dtype=bool)
            if events.any():
                found |= {name: found.get(name, False) | events for name in each.behind}
        for quantizer in self._quantizers:
            if quantizer.numerators not in exact or (quantizer.coords and quantizer.coords not in exact):
                continue
            ours, theirs = exact.get(quantizer.result), other.get(quantizer.result)
            differs: Array | None = None
            if ours is not None and theirs is not None and ours.shape == theirs.shape:
                differs = np.not_equal(ours, theirs)
            events = self._events(quantizer, exact, differs)
            if events.any():
                for name in quantizer.behind:
                    found[name] = found.get(name, False) | events
        return found

    @staticmethod
    def _events(quantizer: _Quantizer, exact: Mapping[str, Array], differs: Array | None) -> Array:
        """Events in which a value is on a tie, and in which no other one differs at this quantizer."""
        numerators = exact[quantizer.numerators]
        steps = _fractional_bits(quantizer, exact, numerators.shape)
        jumps = _BETWEEN.get(quantizer.format.rounding, 2)
        events, others = np.zeros((2, len(numerators)), dtype=bool)
        places = np.argwhere(np.ones(numerators.shape, bool) if differs is None else differs)
        for place in map(tuple, places):
            value = Fraction(float(numerators[place])) / quantizer.divisor * Fraction(2) ** int(steps[place])
            (events if value.denominator == jumps else others)[place[0]] = True
        return events if differs is None else events & ~others


def _fractional_bits(quantizer: _Quantizer, exact: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
    bits = quantizer.format.fractional_bits
    if quantizer.coords:
        full = bits.reshape((1,) * (3 - bits.ndim) + bits.shape)
        place = np.clip(np.minimum(exact[quantizer.coords], full.shape[:2]) - 1, 0, None)
        bits = full[place[..., 0], place[..., 1]]
    return np.broadcast_to(bits, shape)


def _sums(model: ModelProto) -> Iterator[_Sum]:
    names = read_numerators(model)
    for node in model.graph.node:
        rule = rule_of(node.domain, node.op_type)
        if rule is None or not rule.asks_for_zero or len(node.input) < 4 or not node.input[3]:
            continue
        result = node.output[0]
        stated = names.get(result) or next(_divisions(model, result), None)
        if stated is not None:
            source = names[node.input[0]].value if node.input[0] in names else node.input[0]
            yield _Sum(result, source, stated.value, stated.divisor, _behind(model, result))


def _divisions(model: ModelProto, numerators: str) -> Iterator[Numerators]:
    """What a Div makes of numerators."""
    tensors = initializers(model)
    for node in model.graph.node:
        if rule_of(node.domain, node.op_type) is Div and node.input[0] == numerators and node.input[1] in tensors:
            yield Numerators(node.output[0], int(tensors[node.input[1]].flat[0]))


def _behind(model: ModelProto, name: str) -> frozenset[str]:
    """Every tensor that depends on one, itself among them."""
    found = {name}
    for node in model.graph.node:
        if not found.isdisjoint(reads(node)):
            found.update(node.output)
    return frozenset(found)


def _quantizers(model: ModelProto, proof: Proof) -> Iterator[_Quantizer]:
    values = all_values(model)
    maker = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        rule = rule_of(node.domain, node.op_type)
        grid = proof.grids.get(node.input[0]) if node.input else None
        if rule is None or grid is None or grid.divisor == 1:
            continue
        context = node_context(node, values, proof)
        if any(constant is None for constant in context.constants[1:4]):
            continue
        form = rule.quantizer_format(context)
        source = maker.get(node.input[0])
        while source is not None and rule_of(source.domain, source.op_type) is Cast:
            source = maker.get(source.input[0])
        if form is None or source is None or rule_of(source.domain, source.op_type) is not Div:
            continue
        coords = node.input[4] if form.at_pixels else ""
        behind = _behind(model, node.output[0])
        yield _Quantizer(node.output[0], source.input[0], grid.divisor, form, coords, behind)
