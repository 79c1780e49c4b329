"""Mutants that compute the same, by their key, each with the reason."""

EXPLAINED: dict[str, str] = {
    "grid:of_constant: common = int(np.gcd.reduce([abs(m) for m in whole], dtype=object)) if whole else 0"
    " -> common = int(np.gcd.reduce([abs(m) for m in whole], dtype=object)) if whole else -1": (
        "the greatest common divisor of no numbers: any odd number, and 0, shift nothing out"
    ),
    "grid:round_fraction: magnitude_down = floor if value >= 0 else floor + (rest > 0)"
    " -> magnitude_down = floor if value >= 0 else floor + (rest != 0)": "what is left above a floor is never negative",
    "grid:quantized_limits: if overflow is OverflowMode.WRAP_SM: -> if overflow >= OverflowMode.WRAP_SM:": (
        "the modes are strings, and WRAP_SM is the last of them"
    ),
    'ops._quantizer:quantizer_call: config |= {"width": int(table.widths.flat[0]), '
    '"is_signed": bool(table.signs.flat[0])} -> config |= {"width": int(table.widths.flat[0]), '
    '"is_signed": bool(table.signs.flat[ -1])}': "all are alike there",
    "ops._quantizer:_squeezed: if len(shape) == 1 and values.ndim != 1:"
    " -> if len(shape) == 1 and values.ndim >= 1:": "one dimension made one dimension",
    "ops.sparse_conv:_sum_limits: return low, high, max((abs(int(v)) for v in (*low, *high)), default=0)"
    " -> return low, high, max((abs(int(v)) for v in (*low, *high)), default= 1)": "there is always a filter",
    "ops.fixed_point_quant:_quantized_grid: lo, hi = np.empty(parts[0].size, dtype=object), "
    "np.empty(parts[0].size, dtype=object) -> lo, hi = np.empty(parts[ 1].size, dtype=object), "
    "np.empty(parts[0].size, dtype=object)": "the parts are broadcast against each other",
}
