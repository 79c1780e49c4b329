"""Numbers and types at the ends of what a file can hold."""

from __future__ import annotations

INTEGERS = (
    0, 1, -1, 2, 3, 4, 5, 7, 8, 255, 2**15, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**62, 2**63 - 1, -(2**63),
)  # fmt: skip
FLOATS = (
    0.0, -0.0, 1.0, -1.0, 0.5, 0.3, 2.0**-149, 2.0**-20, 3.4e38, -3.4e38, float("inf"), float("nan"), 128.0, 1e-30,
)  # fmt: skip
TYPES = (
    "ap_fixed<8,2>", "ap_ufixed<3,1>", "ap_ufixed<64,1>", "ap_fixed<1,1>", "ap_fixed<64,-128>", "ap_ufixed<8,128>",
    "ap_fixed<0,0>", f"ap_fixed<{'9' * 5000},1>", "ap_fixed<8,2>\n", "ap_fixed<\u00b2,1>", "float", "",
)  # fmt: skip
