"""The layer kernels alone, with random integers, against a few lines of NumPy each; slots in any order."""

from __future__ import annotations

import ctypes
import subprocess

import numpy as np
import pytest

from sparse_qonnx import _paths
from sparse_qonnx.hls.headers import find_ap_headers, find_compiler

H, W, C, F, N = 7, 6, 2, 3, 8
PH, PW = 3, 2
EVENTS = 60

SOURCE = f"""
#include "dense.h"
#include "input_reduce.h"
#include "reduce.h"
#include "sparse_conv.h"
#include "sparse_pool.h"
#include "sparse_to_dense.h"
using namespace sparse_qonnx;
typedef ap_int<6> value_t;
typedef ap_int<20> wide_t;
typedef ap_uint<3> coord_t;
struct reduce_config {{
    static const unsigned height = {H}, width = {W}, n_channels = {C}, n_slots = {N}, pixels_per_cycle = 1;
    static const int threshold = -3;
}};
struct conv_config {{
    static const unsigned n_slots = {N}, n_channels = {C}, n_filters = {F}, n_groups = 1;
    static const unsigned kernel_height = 3, kernel_width = 2, dilation_height = 2, dilation_width = 1;
    static const unsigned pad_top = 2, pad_left = 0, pixels_per_cycle = 1;
    static const unsigned inputs_per_cycle = {N}, filters_per_cycle = {F}, channels_per_cycle = {C};
    static const bool is_raster_order = false;
    typedef wide_t accum_t;
}};
struct average_config {{
    static const pooling mode = pooling::AVERAGE;
    static const unsigned n_slots = {N}, n_channels = {C}, height = {H}, width = {W};
    static const unsigned window_height = {PH}, window_width = {PW}, average_shift = 0, pixels_per_cycle = 1;
    typedef wide_t accum_t;
}};
struct max_config : average_config {{ static const pooling mode = pooling::MAX; }};
struct image_config {{ static const unsigned n_slots = {N}, n_channels = {C}, height = {H}, width = {W}; }};
struct dense_config {{
    static const unsigned n_rows = 1, n_inputs = {H * W * C}, n_outputs = {F};
    typedef wide_t accum_t;
}};
struct sum_config {{
    static const pooling mode = pooling::AVERAGE;
    static const unsigned average_shift = 0;
    typedef view<1, 1, 1, {C}, 0, 0, 0, 1> kept_view;
    typedef view<1, 1, 1, {H * W}, 0, 0, 0, {C}> reduced_view;
    typedef wide_t accum_t;
}};
struct largest_config : sum_config {{ static const pooling mode = pooling::MAX; }};
struct buffer {{
    const int *in; int *out;
    template <class T> void read(T *target, unsigned n) {{ for (unsigned i = 0; i < n; i++) target[i] = *in++; }}
    template <class T> void write(const T *source, unsigned n) {{
        for (unsigned i = 0; i < n; i++) *out++ = to_raw(source[i]).to_int();
    }}
}};
extern "C" void run(const int *in, int *out) {{
    buffer b = {{in, out}};
    value_t image[{H * W * C}], features[{N * C}], kept[{N * C}], dense_image[{H * W * C}], largest[{C}];
    value_t weights[{8 * C * F}], biases[{F}], matrix[{H * W * C * F}], pooled_max[{N * C}];
    coord_t coords[{2 * N}], kept_coords[{2 * N}], cells[{2 * N}];
    wide_t convolved[{N * F}], pooled[{N * C}], product[{F}], sum[{C}];
    b.read(image, {H * W * C}); b.read(features, {N * C}); b.read(coords, {2 * N});
    for (value_t &weight : weights) weight = 0;
    b.read(weights + {C * F}, {6 * C * F}); b.read(biases, {F}); b.read(matrix, {H * W * C * F});
    input_reduce_stream<value_t, value_t, coord_t, reduce_config>(image, kept, kept_coords);
    b.write(kept, {N * C}); b.write(kept_coords, {2 * N});
    sparse_conv_pairs<value_t, coord_t, wide_t, conv_config>(features, coords, convolved, weights, biases);
    b.write(convolved, {N * F});
    sparse_pool<value_t, coord_t, wide_t, coord_t, average_config>(features, coords, pooled, cells);
    b.write(pooled, {N * C}); b.write(cells, {2 * N});
    sparse_pool<value_t, coord_t, value_t, coord_t, max_config>(features, coords, pooled_max, cells);
    b.write(pooled_max, {N * C}); b.write(cells, {2 * N});
    sparse_to_dense<value_t, coord_t, value_t, image_config>(features, coords, dense_image);
    b.write(dense_image, {H * W * C});
    dense<value_t, wide_t, dense_config>(dense_image, product, matrix, biases);
    b.write(product, {F});
    reduce<value_t, wide_t, sum_config>(dense_image, sum);
    b.write(sum, {C});
    reduce<value_t, value_t, largest_config>(dense_image, largest);
    b.write(largest, {C});
}}
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """All kernels in one library: integers in, integers out."""
    folder = tmp_path_factory.mktemp("kernels")
    (folder / "all.cpp").write_text(SOURCE)
    flags = [
        "-std=c++11",
        "-O1",
        "-shared",
        "-fPIC",
        "-Wno-unknown-pragmas",
        "-I",
        str(_paths.hls_backend() / "kernels"),
        "-I",
        str(_paths.hls_backend() / "sim"),
    ]
    command = [find_compiler(), *flags, "-isystem", str(find_ap_headers()), "-o", "all.so", "all.cpp"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]
    return ctypes.CDLL(str(folder / "all.so"))


def reduced(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features, coords = np.zeros((N, C), int), np.zeros((N, 2), int)
    found = np.argwhere(image[:, :, 0] > -3)[:N]
    for slot, (row, column) in enumerate(found):
        features[slot], coords[slot] = image[row, column], (row + 1, column + 1)
    return features, coords


def convolved(features: np.ndarray, coords: np.ndarray, weights: np.ndarray, biases: np.ndarray) -> np.ndarray:
    """Through a padded image: rows -2, 0, +2 and columns 0, +1 around each pixel."""
    canvas = np.zeros((H + 4, W + 1, C), int)
    active = coords[:, 0] > 0
    canvas[coords[active, 0] + 1, coords[active, 1] - 1] = features[active]
    out = np.zeros((N, F), int)
    for slot in np.flatnonzero(active):
        row, column = coords[slot] - 1
        window = canvas[row : row + 5 : 2, column : column + 2]
        sums = np.einsum("yxc,yxcf->f", window, weights)
        out[slot] = np.where(sums != 0, sums + biases, 0)
    return out


def pooled(features: np.ndarray, coords: np.ndarray, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    image = densified(features, coords)
    values, cells = np.zeros((N, C), int), np.zeros((N, 2), int)
    seen = set()
    for slot, (row, column) in enumerate(coords):
        cell = ((row - 1) // PH, (column - 1) // PW)
        if row == 0 or cell in seen or cell[0] >= H // PH or cell[1] >= W // PW:
            continue
        seen.add(cell)
        window = image[cell[0] * PH : (cell[0] + 1) * PH, cell[1] * PW : (cell[1] + 1) * PW].reshape(-1, C)
        values[slot] = window.max(axis=0) if largest else window.sum(axis=0)
        cells[slot] = np.array(cell) + 1
    return values, cells


def densified(features: np.ndarray, coords: np.ndarray) -> np.ndarray:
    image = np.zeros((H, W, C), int)
    for value, (row, column) in zip(features, coords, strict=True):
        if row:
            image[row - 1, column - 1] = value
    return image


def slots(rng: np.random.Generator, event: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pixels in any order with empty slots anywhere; every fourth event fills one window completely."""
    pixels = rng.permutation(H * W)[:N]
    if event % 4 == 0:
        window = [(row, column) for row in range(PH) for column in range(PW)]
        pixels = np.concatenate([rng.permutation([row * W + column for row, column in window]), [H * W - 1, H * W - 2]])
    coords = np.stack([pixels // W + 1, pixels % W + 1], axis=1)
    coords[rng.random(N) < (0 if event % 4 == 0 else 0.3)] = 0
    features = rng.integers(-32, 0 if event % 8 == 0 else 32, (N, C)) * (coords[:, :1] > 0)
    return features, coords


def test_layers_against_numpy(kernels: ctypes.CDLL) -> None:
    rng = np.random.default_rng(0)
    for event in range(EVENTS):
        image = rng.integers(-32, 32, (H, W, C)) * (rng.random((H, W, 1)) < event / EVENTS) - 3 * (event % 2)
        image = np.clip(image, -32, 31)
        features, coords = slots(rng, event)
        weights, biases = rng.integers(-2, 3, (3, 2, C, F)), rng.integers(-32, 32, F)
        matrix = rng.integers(-32, 32, (H * W * C, F))
        dense_image = densified(features, coords)
        wanted = [*reduced(image), convolved(features, coords, weights, biases)]
        wanted += [*pooled(features, coords, largest=False), *pooled(features, coords, largest=True), dense_image]
        wanted += [
            dense_image.reshape(-1) @ matrix + biases,
            dense_image.sum(axis=(0, 1)),
            dense_image.max(axis=(0, 1)),
        ]
        given = np.concatenate([a.ravel() for a in (image, features, coords, weights, biases, matrix)]).astype(np.int32)
        expected = np.concatenate([a.ravel() for a in wanted])
        found = np.zeros(expected.size, np.int32)
        kernels.run(*(a.ctypes.data_as(ctypes.c_void_p) for a in (given, found)))
        np.testing.assert_array_equal(found, expected, err_msg=f"event {event}")
