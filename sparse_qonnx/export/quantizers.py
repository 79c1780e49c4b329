"""HGQ2 quantizers: from trained variables to the number formats of the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.errors import PrecisionError, UnsupportedLayerError
from sparse_qonnx.export.call import LayerCall, Step
from sparse_qonnx.export.values import DenseValue, SparseValue, Tensor, renamed
from sparse_qonnx.fixed import OverflowMode, RoundingMode

Array = NDArray[Any]

UNBOUNDED_BITS = 64
"""Integer bits of a quantizer that only rounds: no number of this package comes near its limits."""


@dataclass(frozen=True)
class Format:
    """What one quantizer does, in its inference branch.

    Args:
        signed: 1 where negative values are kept; `[*]` broadcasts against one sample, as do the next two.
        integer_bits: bits left of the binary point without the sign.
        fractional_bits: bits right of it.
        rounding: rounding mode.
        overflow: overflow mode.
        affine: factor and offset applied to the result.
    """

    signed: Array
    integer_bits: Array
    fractional_bits: Array
    rounding: RoundingMode
    overflow: OverflowMode
    affine: tuple[float, float] = (1.0, 0.0)


def to_numpy(tensor: Any) -> Array:
    """A Keras tensor or variable as NumPy array."""
    import keras

    return np.asarray(keras.ops.convert_to_numpy(tensor))


def _collapsed(values: Array) -> Array:
    """Axes along which nothing changes, reduced to length 1."""
    for axis in range(values.ndim):
        first = values.take([0], axis=axis)
        if values.shape[axis] > 1 and (values == first).all():
            values = first
    return values


def _power_of_two(value: float) -> int | None:
    mantissa, exponent = np.frexp(value)
    return int(exponent) - 1 if mantissa == 0.5 else None


def read_format(quantizer: Any, where: str) -> Format | None:
    """The format of an HGQ2 `Quantizer` as its forward pass computes at inference; None where it changes nothing.

    Args:
        quantizer: a built `hgq.quantizer.Quantizer`.
        where: how messages name it.

    Raises:
        UnsupportedLayerError: for floating-point quantizers, scalers that are no power of two, batch-dependent widths.
        PrecisionError: for widths that are not finite.
    """
    internal = quantizer.quantizer
    affine = tuple(quantizer.affine or (1.0, 0.0))
    if quantizer.q_type == "dummy":
        if quantizer.affine is None and quantizer.scaler is None:
            return None
        raise UnsupportedLayerError(where, "a dummy quantizer with scaler or affine", fix="use q_type='kif'")
    if quantizer.q_type not in ("kif", "kbi"):
        raise UnsupportedLayerError(
            where,
            f"q_type={quantizer.q_type!r}: a floating-point format is not a fixed-point grid",
            allowed="q_type='kif' or 'kbi'",
            fix="use a fixed-point quantizer on data; weights may have any quantizer",
        )
    if type(internal.bw_mapper).__name__ != "DefaultBitwidthMapper":
        kind = type(internal.bw_mapper).__name__
        raise UnsupportedLayerError(where, f"bw_mapper={kind}", allowed="HGQ2's DefaultBitwidthMapper", fix="remove it")
    signed, integer, fractional = (_sample(to_numpy(p), where) for p in internal.kif)
    if not all(np.isfinite(p).all() for p in (signed, integer, fractional)) or not np.isin(signed, (0, 1)).all():
        problem = "a trained bit width is not finite, or a sign flag neither 0 nor 1"
        raise PrecisionError(where, problem, fix="restore an earlier checkpoint")
    shift = _scaler_shift(quantizer, where)
    overflow = OverflowMode(internal.overflow_mode.upper())
    rounding = RoundingMode(internal.round_mode.upper().removeprefix("S_"))
    if _only_rounds(internal, overflow, rounding):
        signed, integer = np.ones_like(signed), np.full_like(integer, UNBOUNDED_BITS)
        overflow = OverflowMode.SAT
    signed, integer, fractional = (_collapsed(p) for p in (signed, integer + shift, fractional - shift))
    return Format(signed, integer, fractional, rounding, overflow, (float(affine[0]), float(affine[1])))


def _sample(values: Array, where: str) -> Array:
    """Drop the batch axis."""
    if values.ndim == 0:
        return values.reshape(1)
    if values.shape[0] != 1:
        raise UnsupportedLayerError(
            where,
            f"has widths of shape {list(values.shape)}: one per event of a batch",
            allowed="homogeneous_axis that contains 0",
            fix="set homogeneous_axis=(0,)",
        )
    return values.reshape(values.shape[1:] or (1,))


def _scaler_shift(quantizer: Any, where: str) -> int:
    """Q(x / s) * s with s = 2**n is a quantizer with n integer bits more and n fractional bits fewer."""
    if quantizer.scaler is None:
        return 0
    shift = _power_of_two(quantizer.scaler)
    if shift is None:
        raise UnsupportedLayerError(
            where, f"scaler={quantizer.scaler!r} rounds twice", allowed="powers of two", fix="train with scaler=None"
        )
    return shift


def _only_rounds(internal: Any, overflow: OverflowMode, rounding: RoundingMode) -> bool:
    """Trainable wrapping quantizers marked as weights return before they wrap; KBI ones only with plain RND."""
    if overflow is not OverflowMode.WRAP or not internal.trainable or not internal._is_weight:
        return False
    return type(internal).__name__.endswith("KIF") or rounding is RoundingMode.RND


def _rank_of(values: Array, rank: int) -> Array:
    return values.reshape((1,) * (rank - values.ndim) + values.shape)


def quantizer_steps(call: LayerCall, quantizer: Any, part: str, sample_rank: int) -> list[Step]:
    """The nodes of a data-lane quantizer.

    Args:
        call: the layer that owns it.
        quantizer: the HGQ2 `Quantizer`.
        part: name of the part, `iq`.
        sample_rank: dimensions of one sample as Keras has it (3 for a feature map).

    Returns:
        No step where the quantizer changes nothing.
    """
    form = read_format(quantizer, f"{call.where}, quantizer {part!r}")
    if form is None:
        return []

    def quantize(value: Tensor, name: str) -> Tensor:
        if isinstance(value, DenseValue):
            call.fixed(value)
        arrays = (form.signed, form.integer_bits, form.fractional_bits)
        names = ("signed", "integer_bits", "fractional_bits")
        parameters = [
            call.graph.constant(f"{call.name}.{part}.{kind}", _rank_of(p, sample_rank).astype(np.float32))
            for kind, p in zip(names, arrays, strict=True)
        ]
        coords = [value.coords.name] if isinstance(value, SparseValue) and _at_pixels(arrays) else []
        modes = {"rounding_mode": form.rounding.value, "overflow_mode": form.overflow.value}
        (result,) = call.graph.sparse("FixedPointQuant", [value.name, *parameters, *coords], [name], **modes)
        return renamed(value, result)

    return [(part, quantize), *_affine_steps(call, form.affine, part)]


def _at_pixels(arrays: tuple[Array, ...]) -> bool:
    return any(p.ndim == 3 and max(p.shape[:2]) > 1 for p in arrays)


def _affine_steps(call: LayerCall, affine: tuple[float, float], part: str) -> list[Step]:
    factor, offset = affine
    steps: list[Step] = []
    if factor != 1:
        constant = call.graph.constant(f"{call.name}.{part}.factor", np.array(factor, dtype=np.float32))
        steps.append(call.elementwise(f"{part}.scaled", "Mul", [constant]))
    if offset != 0:
        constant = call.graph.constant(f"{call.name}.{part}.offset", np.array(offset, dtype=np.float32))
        steps.append(call.elementwise(f"{part}.shifted", "Add", [constant]))
    return steps


def fills(quantizer: Any) -> bool:
    """Whether a quantizer turns 0 into something else."""
    return quantizer.affine is not None and quantizer.affine[1] != 0
