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
}
