"""The HLS kernels alone, each against integers in NumPy or exact rational numbers."""

from __future__ import annotations

import ctypes
import itertools
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sparse_qonnx import _paths
from sparse_qonnx.fixed import OverflowMode, RoundingMode, quantize
from sparse_qonnx.hls.headers import find_ap_headers, find_compiler

KERNELS, SIM = _paths.hls_backend() / "kernels", _paths.hls_backend() / "sim"
# The headers of ap_fixed read their own uninitialized members, seen once they are inlined into our functions.
FLAGS = ("-std=c++11", "-O0", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-uninitialized")
PRELUDE = """
using namespace sparse_qonnx;
template <class T> void load(const long long *source, T *target, unsigned n) {
    for (unsigned i = 0; i < n; i++) target[i] = from_raw<T>(ap_int<64>(source[i]));
}
template <class T> void store(const T *source, long long *target, unsigned n) {
    for (unsigned i = 0; i < n; i++) target[i] = to_raw(source[i]).to_int64();
}
"""


def run_compiler(*arguments: str) -> None:
    command = [
        find_compiler(),
        *FLAGS,
        "-isystem",
        str(find_ap_headers()),
        "-I",
        str(KERNELS),
        "-I",
        str(SIM),
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]


def library(folder: Path, headers: list[str], body: str) -> ctypes.CDLL:
    source = folder / "kernel.cpp"
    includes = "".join(f'#include "{name}"\n' for name in headers)
    source.write_text(f'{includes}{PRELUDE}\nextern "C" {{\n{body}\n}}\n')
    target = folder / "kernel.so"
    run_compiler("-shared", "-fPIC", "-o", str(target), str(source))
    return ctypes.CDLL(str(target))


def call(function: object, *arrays: np.ndarray) -> None:
    for array in arrays:
        assert array.dtype == np.int64 and array.flags.c_contiguous
    function(*(a.ctypes.data_as(ctypes.c_void_p) for a in arrays))  # type: ignore[operator]


@pytest.mark.parametrize("header", sorted(p.relative_to(KERNELS).as_posix() for p in KERNELS.rglob("*.h")))
def test_header_compiles_alone(header: str, tmp_path: Path) -> None:
    source = tmp_path / "alone.cpp"
    source.write_text(f'#include "{header}"\n')
    run_compiler("-fsyntax-only", str(source))


# ---- quantizers ------------------------------------------------------------------------------------------------------

MODES = [(r, o) for r in RoundingMode for o in OverflowMode]
FORMATS = [(1, 3, 2), (0, 3, 2), (1, 0, 0), (0, 0, 1), (1, -1, 3), (0, 5, -2), (1, 2, 6), (1, 0, -1), (0, -3, 5)]
FORMATS += [(0, 14, -12), (1, 11, -10)]  # so coarse that more bits fall off than an input has
DIVISORS = [1, 3, 9]
X_WIDTH, X_FRACTION = 9, 4  # every input value is tried


def magic(divisor: int, bits: int) -> tuple[int, int]:
    """Multiplier and shift with n // divisor == n * multiplier >> shift for 0 <= n < 2**bits."""
    shift = bits + divisor.bit_length()
    return -(-(1 << shift) // divisor), shift


FINEST = max(f for _, _, f in FORMATS)
UP_SHIFT = max(0, FINEST - X_FRACTION)
LIVE = [k + i + f > 0 for k, i, f in FORMATS]
SHIFTS = [X_FRACTION + UP_SHIFT - f if live else 0 for (_, _, f), live in zip(FORMATS, LIVE, strict=True)]
WIDTHS = [max(k + i + f, 0) for k, i, f in FORMATS]


def quant_config(name: str, mode: tuple[RoundingMode, OverflowMode], divisor: int) -> str:
    """A config struct for every format at once; the uniform kernel reads the first format."""
    multiplier, shift = (1, 0) if divisor == 1 else magic(divisor, 40)
    return f"""struct {name} {{
    static const rounding rounding_mode = rounding::{mode[0].value};
    static const overflow overflow_mode = overflow::{mode[1].value};
    static const int up_shift = {UP_SHIFT}; static const int align = {X_FRACTION + UP_SHIFT - FINEST};
    static const int max_width = {max(WIDTHS)}; static const int max_shift = {max(SHIFTS)};
    static const unsigned divisor = {divisor};
    static const unsigned long long multiplier = {multiplier}ull; static const int multiplier_shift = {shift};
    static const unsigned n_rows = {2**X_WIDTH}, n_channels = {len(FORMATS)}, n_values = {2**X_WIDTH};
    static const int shift = {SHIFTS[0]}; static const int width = {WIDTHS[0]};
    static const bool is_signed = {FORMATS[0][0]};
}};
"""


def expected(values: np.ndarray, mode: tuple[RoundingMode, OverflowMode], divisor: int) -> np.ndarray:
    """`quantize` on every value and format, in steps of the finest format.

    A quotient is kept to 30 bits below the point, rounded down and made odd: no tie appears, none is lost.
    """
    exact = [Fraction(int(v), divisor * 2**X_FRACTION) for v in values]
    dyadic = [
        v if v.denominator & (v.denominator - 1) == 0 else Fraction(int(v * 2**30 // 1) | 1, 2**30) for v in exact
    ]
    x = np.array([float(v) for v in dyadic])[:, None]
    k, i, f = np.array(FORMATS, dtype=np.float64).T
    y = quantize(x, k, i, f, mode[0].value, mode[1].value) * 2.0**FINEST
    assert (y == np.rint(y)).all()
    return y.astype(np.int64)


def test_quantizer_every_mode_format_and_divisor(tmp_path: Path) -> None:
    cases = list(itertools.product(MODES, DIVISORS))
    n_values, n_formats = 2**X_WIDTH, len(FORMATS)
    types = f"typedef ap_fixed<{X_WIDTH}, {X_WIDTH - X_FRACTION}> in_t; typedef ap_fixed<40, {40 - FINEST}> out_t;"
    tables = (
        f"static const ap_uint<8> shifts[] = {{{', '.join(map(str, SHIFTS))}}};"
        f"static const ap_uint<8> widths[] = {{{', '.join(map(str, WIDTHS))}}};"
        f"static const ap_uint<1> signs[] = {{{', '.join(str(k) for k, _, _ in FORMATS)}}};"
    )
    run = f"""template <class CONFIG_T> void run(const long long *x, long long *by_channel, long long *uniform) {{
    static in_t data[{n_values * n_formats}]; static out_t result[{n_values * n_formats}];
    for (unsigned c = 0; c < {n_formats}; c++)
        for (unsigned i = 0; i < {n_values}; i++) load(x + i, data + i * {n_formats} + c, 1);
    fixed_point_quant_by_channel<in_t, out_t, CONFIG_T>(data, result, shifts, widths, signs);
    store(result, by_channel, {n_values * n_formats});
    load(x, data, {n_values});
    fixed_point_quant<in_t, out_t, CONFIG_T>(data, result);
    store(result, uniform, {n_values});
}}
"""
    configs = "".join(quant_config(f"config_{n}", mode, d) for n, (mode, d) in enumerate(cases))
    switch = "".join(f"case {n}: run<config_{n}>(x, y, z); break;\n" for n in range(len(cases)))
    signature = "void quantizers(long long which, const long long *x, long long *y, long long *z)"
    entry = f"{signature} {{ switch (which) {{ {switch} }} }}"
    source = f'}}\n{types}{tables}\n{configs}{run}\nextern "C" {{\n{entry}'
    quantizers = library(tmp_path, ["fixed_point_quant.h"], source).quantizers
    x = np.arange(-(2 ** (X_WIDTH - 1)), 2 ** (X_WIDTH - 1), dtype=np.int64)
    for n, (mode, d) in enumerate(cases):
        y, z = np.zeros((n_values, n_formats), np.int64), np.zeros(n_values, np.int64)
        quantizers(ctypes.c_longlong(n), *(a.ctypes.data_as(ctypes.c_void_p) for a in (x, y, z)))
        want = expected(x, mode, d)
        np.testing.assert_array_equal(y, want, err_msg=f"{mode} divisor {d}")
        np.testing.assert_array_equal(z, want[:, 0], err_msg=f"{mode} divisor {d}, one format")
