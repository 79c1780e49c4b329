"""The quantizer kernels' configuration, shared by `FixedPointQuant` and qonnx's `Quant`."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparse_qonnx.errors import PrecisionError
from sparse_qonnx.fixed import OverflowMode, RoundingMode
from sparse_qonnx.grid import Array, Grid, NodeContext
from sparse_qonnx.hlscall import HlsCall, HlsTable, Signed, Symbol, sample_shape
from sparse_qonnx.quantized import leaves_format
from sparse_qonnx.scaling import odd_part

_CONSTANT_BITS = 64
"""Width of the constants of the exact division."""


def exact_reciprocal(divisor: int, bits: int) -> tuple[int, int]:
    """Multiplier and shift with `n // divisor == n * multiplier >> shift` for every 0 <= n < 2**bits.

    With multiplier = ceil(2**shift / divisor) the error of a product is n * e / (divisor * 2**shift), where
    e = multiplier * divisor - 2**shift; it cannot reach the next multiple of 1 / divisor while n * e < 2**shift.
    """
    shift = 0
    while True:
        multiplier = -(-(1 << shift) // divisor)
        if (multiplier * divisor - (1 << shift)) << bits <= 1 << shift:
            return multiplier, shift
        shift += 1


def quotient_bits(source: Grid, integer: Array, fractional: Array, saturates: bool) -> int:
    """Significand bits p with which a quotient, correctly rounded, is quantized as the exact quotient is.

    Let q = M / D be the quotient in steps of the format: M < 2**stepped the numerator on the finer of the two grids, D
    the divisor on it. The quotient is off by at most q * 2**-p, half a step added to it is off by (q + 1/2) * 2**-p
    again. A q that is no tie lies at least 1 / (2 D) beside one, so none is crossed where 4 M + D < 2**p; and where D
    exceeds 2 M there is no tie within reach. A tie is represented. Values beyond a saturating format do not matter.

    That is never more than bits(M) + bits(2 * divisor).

    Args:
        source: grid of the quotients.
        integer: bits left of the point of each format, `[n]`.
        fractional: bits right of it.
        saturates: whether values out of range become the nearest in it.
    """
    stepped = source.bits + max(0, int(fractional.max()) - source.frac)
    if saturates:
        steps = source.divisor.bit_length() + max(0, source.frac - int(fractional.min()))
        stepped = min(stepped, steps + max(0, int((integer + fractional).max())) + 1)
    return max(source.bits, stepped + 3)


def quantizer_call(
    node: NodeContext,
    source: Grid,
    formats: tuple[Array, Array, Array],
    modes: tuple[RoundingMode, OverflowMode],
    output: Grid,
    coords: int | None = None,
) -> HlsCall:
    """The kernel call of a quantizer.

    Args:
        node: the node; input 0 is the data.
        source: grid of the data.
        formats: signed, integer bits, fractional bits; each broadcasts against one sample, or is a map `[H, W, C]`.
        modes: rounding and overflow.
        output: grid of the result.
        coords: position of the coordinates among the inputs when the formats are maps.

    Raises:
        PrecisionError: the division needs constants of more than 64 bits.
    """
    source = _without_twos(source)
    shape = sample_shape(node.shapes[0])
    rank = 3 if coords is not None else len(shape)
    k, i, f = (np.reshape(p, p.shape[-rank:]) for p in np.broadcast_arrays(*formats))
    table = _FormatTable(source, output, k, i, f, _overflow(source, (k, i, f), modes, coords is not None))
    config: dict[str, Any] = {
        "rounding_mode": Symbol("rounding", modes[0].value),
        "overflow_mode": Symbol("overflow", table.overflow),
        "up_shift": table.up_shift,
        "align": Signed(table.align),
        "max_width": int(table.widths.max()),
        "max_shift": int(table.shifts.max()),
        **_division(node, source, table.up_shift),
    }
    if all(t.min() == t.max() for t in (table.shifts, table.widths, table.signs)):
        config |= {"n_values": int(np.prod(shape)), "shift": int(table.shifts.max())}
        config |= {"width": int(table.widths.max()), "is_signed": bool(table.signs.max())}
        return HlsCall("fixed_point_quant", config=config)
    if coords is not None:
        full = (1,) * (3 - k.ndim) + k.shape
        config |= {"n_slots": shape[0], "n_channels": shape[1]}
        config |= dict(zip(("map_height", "map_width", "map_channels"), full, strict=True))
        tables = table.tables(full)
        return HlsCall("fixed_point_quant", (0, coords), config, tables, "fixed_point_quant_by_pixel")
    by_channel = k.size == k.shape[-1]
    columns = shape[-1] if by_channel else int(np.prod(shape))
    target = (columns,) if by_channel else shape
    config |= {"n_rows": int(np.prod(shape)) // columns, "n_channels": columns}
    return HlsCall("fixed_point_quant", (0,), config, table.tables(target), "fixed_point_quant_by_channel")


def _without_twos(source: Grid) -> Grid:
    """The same integers and values with an odd divisor: the kernel shifts by the twos."""
    divisor = odd_part(source.divisor)
    twos = (source.divisor // divisor).bit_length() - 1
    return Grid(source.lo, source.hi, source.frac + twos, divisor, source.rounded, source.occupancy)


class _FormatTable:
    """Formats as the kernel reads them: bits to shift out, width, sign."""

    def __init__(self, source: Grid, output: Grid, k: Array, i: Array, f: Array, overflow: str) -> None:
        live = k + i + f > 0
        finest = int(f[live].max()) if live.any() else source.frac
        self.overflow = overflow
        self.up_shift = max(0, finest - source.frac)
        self.align = source.frac + self.up_shift - output.frac
        self.shifts = np.where(live, source.frac + self.up_shift - f, 0)
        # Where nothing overflows the width is read only as "is there any".
        self.widths = np.where(live, 1 if overflow == "NONE" else k + i + f, 0)
        self.signs = np.where(live, k, 0)

    def tables(self, shape: tuple[int, ...]) -> tuple[HlsTable, ...]:
        named = {"shift": self.shifts, "width": self.widths, "sign": self.signs}
        found = []
        for name, values in named.items():
            kept = values.reshape(values.shape[-len(shape) :])  # the others have length 1
            found.append(HlsTable(name, np.broadcast_to(kept, shape).astype(object), is_integer=True))
        return tuple(found)


def _division(node: NodeContext, source: Grid, up_shift: int) -> dict[str, Any]:
    multiplier, shift = exact_reciprocal(source.divisor, source.bits + up_shift)
    if multiplier.bit_length() > _CONSTANT_BITS:
        raise PrecisionError(
            node.where,
            f"an exact division by {source.divisor} of {source.bits + up_shift} bits needs a constant of "
            f"{multiplier.bit_length()} bits",
            allowed=f"{_CONSTANT_BITS} bits",
            fix="quantize before the average, or to fewer bits",
        )
    return {"divisor": source.divisor, "multiplier": multiplier, "multiplier_shift": shift}


def _overflow(
    source: Grid,
    formats: tuple[Array, Array, Array],
    modes: tuple[RoundingMode, OverflowMode],
    at_pixels: bool,
) -> str:
    """Name of the overflow mode the hardware needs: NONE where no value can leave its format."""
    if at_pixels:
        limits = source.envelope()
        source = limits.with_limits(limits.lo.reshape(()), limits.hi.reshape(()))
    return modes[1].value if leaves_format(source, formats, *modes).any() else "NONE"
