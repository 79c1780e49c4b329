"""The input reduction alone: every variant, chunk size and source, against NumPy; edges from empty to full."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from test_hls_kernels import call, library

HEIGHT, WIDTH, CHANNELS, SLOTS, THRESHOLD = 7, 6, 2, 5, 2
# A pixel, what divides a row, what does not, a row, rows that divide the image, rows that do not, all of it.
CHUNKS = (1, 2, 3, 4, 5, WIDTH, 2 * WIDTH, 3 * WIDTH, HEIGHT * WIDTH)
VARIANTS = {"stream": (1,), "chunk": CHUNKS, "scan": CHUNKS, "tree": (1,)}

SOURCE = f"""
}}
typedef ap_fixed<7, 4> in_t; typedef ap_fixed<7, 4> out_t; typedef ap_uint<3> coord_t;
template <unsigned P> struct config {{
    static const unsigned height = {HEIGHT}, width = {WIDTH}, n_channels = {CHANNELS}, n_slots = {SLOTS};
    static const unsigned pixels_per_cycle = P, initiation_interval = 2;
    static const int threshold = {THRESHOLD};
}};
static in_t image[{HEIGHT * WIDTH * CHANNELS}]; static out_t features[{SLOTS * CHANNELS}];
static coord_t coords[{2 * SLOTS}];
static bool is_empty = true;

// The same image word by word; behind its end stands what would be kept.
template <unsigned P> struct words {{
    hls::stream<beat<in_t, P * {CHANNELS}> > all;
    words() {{
        for (unsigned start = 0; start < {HEIGHT * WIDTH * CHANNELS}; start += P * {CHANNELS}) {{
            beat<in_t, P * {CHANNELS}> word;
            for (unsigned i = 0; i < P * {CHANNELS}; i++) {{
                word.values[i] = start + i < {HEIGHT * WIDTH * CHANNELS} ? image[start + i] : in_t(7);
            }}
            all.write(word);
        }}
    }}
    ~words() {{ is_empty = is_empty && all.empty(); }}
}};
extern "C" {{
void reduce(const long long *which, const long long *x, long long *y, long long *z) {{
    load(x, image, {HEIGHT * WIDTH * CHANNELS});
    switch (*which) {{ CASES }}
    if (!is_empty) coords[0] = 0, coords[1] = 7;
    store(features, y, {SLOTS * CHANNELS}); store(coords, z, {2 * SLOTS});
}}
"""


def events(n_random: int) -> np.ndarray:
    """Empty, one pixel anywhere, the budget, one more, full, all in the first row, all in the last; random ones."""
    rng, n = np.random.default_rng(7), HEIGHT * WIDTH
    kept = [np.zeros(n, bool), np.ones(n, bool)]
    kept += [np.arange(n) == i for i in range(n)]
    kept += [np.isin(np.arange(n), rng.permutation(n)[:count]) for count in (SLOTS - 1, SLOTS, SLOTS + 1) * 3]
    kept += [np.arange(n) < WIDTH, np.arange(n) >= n - WIDTH, np.arange(n) % WIDTH == WIDTH - 1]
    kept += [rng.random(n) < share for share in np.linspace(0.02, 0.6, n_random)]
    x = rng.integers(-64, 64, (len(kept), n, CHANNELS))
    above, below = rng.integers(THRESHOLD + 1, 64, x.shape[:2]), rng.integers(-64, THRESHOLD + 1, x.shape[:2])
    x[:, :, 0] = np.where(np.array(kept), above, below)
    return x


def reduced(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features, coords = np.zeros((SLOTS, CHANNELS), np.int64), np.zeros((SLOTS, 2), np.int64)
    for slot, pixel in enumerate(np.flatnonzero(x[:, 0] > THRESHOLD)[:SLOTS]):
        features[slot], coords[slot] = x[pixel], (pixel // WIDTH + 1, pixel % WIDTH + 1)
    return features, coords


def test_every_variant_and_chunk(tmp_path: Path) -> None:
    sources = ("image", "words")
    cases = [
        (v, p, s) for v, chunks in VARIANTS.items() for p in chunks for s in sources if (v, s) != ("tree", "words")
    ]
    switch = "".join(
        f"case {n}: {{ {f'words<{p}> x; ' if s == 'words' else ''}input_reduce_{v}<in_t, out_t, coord_t, config<{p}> >"
        f"({'x.all' if s == 'words' else s}, features, coords); break; }}\n"
        for n, (v, p, s) in enumerate(cases)
    )
    reduce = library(tmp_path, ["input_reduce.h"], SOURCE.replace("CASES", switch)).reduce
    for x in events(60):
        want = reduced(x)
        for n, case in enumerate(cases):
            features, coords = np.full((SLOTS, CHANNELS), -1), np.full((SLOTS, 2), -1)
            call(reduce, np.array([n]), np.ascontiguousarray(x), features, coords)
            np.testing.assert_array_equal(features, want[0], err_msg=f"{case}")
            np.testing.assert_array_equal(coords, want[1], err_msg=f"{case}")
