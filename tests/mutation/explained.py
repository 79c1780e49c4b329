"""Mutants that compute the same, by their key, each with the reason."""

_MODES = "the modes are strings, and this one is the last of those that get here"
_UNKNOWN_LENGTH = "numpy takes any negative number for the length that follows from the others"
_DIVISOR = "a divisor is 1 or more"

EXPLAINED: dict[str, str] = {
    "fixed:quantize: low = -k * (high if overflow is OverflowMode.SAT_SYM else np.exp2(i))"
    " -> low = -k * (high if overflow >= OverflowMode.SAT_SYM else np.exp2(i))": _MODES,
    "fixed:_wrap_sign_magnitude: odd_half = _floor_mod((x + eps * half) / (interval * half), two) >= 1"
    " -> odd_half = _floor_mod((x + eps * half) // (interval * half), two) >= 1": (
        "what is above an integer does not decide whether the remainder reaches 1"
    ),
    "fixed:quantize: result: Array = np.where(live, y, dtype(0)).astype(x.dtype, copy=False)"
    " -> result: Array = np.where(live, y, dtype(0)).astype(x.dtype, copy=True)": "a copy of the same",
    'fixed:parse: return cls(match.group(1) != "u", int(match.group(2)), int(match.group(3)))'
    ' -> return cls(match.group(1) is not "u", int(match.group(2)), int(match.group(3)))': (
        "texts of one character are one object each"
    ),
    "grid:rounded_in_sums: return self.rounded or self.divisor != 1"
    " -> return self.rounded or self.divisor > 1": _DIVISOR,
    'grid:describe: return str(self.type) + (f" / {self.divisor}" if self.divisor != 1 else "")'
    ' -> return str(self.type) + (f" / {self.divisor}" if self.divisor > 1 else "")': _DIVISOR,
    "grid:dot: by_pixel = (-1, x.occupancy.channels, weights.shape[1])"
    " -> by_pixel = (- 2, x.occupancy.channels, weights.shape[1])": _UNKNOWN_LENGTH,
    "grid:overflows: if overflow is OverflowMode.WRAP_SM: -> if overflow >= OverflowMode.WRAP_SM:": _MODES,
    "grid:quantized_limits: return (-high - 1 if overflow is OverflowMode.WRAP_SM else low), high"
    " -> return (-high - 1 if overflow >= OverflowMode.WRAP_SM else low), high": _MODES,
    "grid:quantized_limits: if k + i + f <= 0: -> if k | i + f <= 0:": "k is 0 or 1",
    "ops._quantizer:quantizer_call: full = (1,) * (3 - k.ndim) + k.shape"
    " -> full = (1,) * (3 ^ k.ndim) + k.shape": "the same for 0 to 3 dimensions",
    "ops._quantizer:_overflow: found = set(zip(*(p.reshape(-1).tolist() for p in parts), strict=True))"
    " -> found = set(zip(*(p.reshape(- 2).tolist() for p in parts), strict=True))": _UNKNOWN_LENGTH,
    "ops.fixed_point_quant:_bits_on_the_way: return max(out.bits, 0 if source is None else source.bits)"
    " -> return max(out.bits, -1 if source is None else source.bits)": "what comes out has 0 bits or more",
    "ops.fixed_point_quant:_quantized_grid: keys = list(zip(*(p.reshape(-1).tolist() for p in parts), strict=True))"
    " -> keys = list(zip(*(p.reshape(~1).tolist() for p in parts), strict=True))": _UNKNOWN_LENGTH,
    "ops.fixed_point_quant:_quantized_grid: keys = list(zip(*(p.reshape(-1).tolist() for p in parts), strict=True))"
    " -> keys = list(zip(*(p.reshape(- 2).tolist() for p in parts), strict=True))": _UNKNOWN_LENGTH,
    'ops.sparse_pool:compute: if attributes["mode"] == "average": -> if attributes["mode"] <= "average":': (
        "no other mode comes before it"
    ),
    "ops.sparse_to_dense:check_coords: outside = ((coords < 0) | (coords > np.array(spatial_shape))).any(axis=2)"
    " -> outside = ((coords < 0) ^ (coords > np.array(spatial_shape))).any(axis=2)": "never both",
    "ops.sparse_to_dense:check_coords: half_empty = (coords == 0).any(axis=2) & coords.any(axis=2)"
    " -> half_empty = (coords <= 0).any(axis=2) & coords.any(axis=2)": "negative ones are wrong anyway",
}
