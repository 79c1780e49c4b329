#ifndef SPARSE_QONNX_INPUT_REDUCE_H_
#define SPARSE_QONNX_INPUT_REDUCE_H_

#include <algorithm>

#include "common/blocks.h"
#include "common/divide.h"
#include "common/number.h"
#include "common/select.h"

namespace sparse_qonnx {

// Keep the first n_slots pixels, in raster order, whose first channel is above the threshold.
//
//   image    [height, width, n_channels]
//   features [n_slots, n_channels]   all channels of the kept pixels; an empty slot holds 0
//   coords   [n_slots, 2]            1-based (row, column); (0, 0) is an empty slot
//
// CONFIG_T: height, width, n_channels, n_slots, and `threshold`, an integer on the grid of in_T: for values on that
// grid x > t is the same as x > floor(t), so the compare is exact. in_T and out_T have the same grid; out_T holds what
// can pass.
//
// Three ways to the same result: _stream, one pixel per cycle; _chunk, several; _tree, a search through all at once.
// None of them has a data-dependent address or trip count.

template <class in_T, class out_T, class coord_T, typename CONFIG_T>
struct input_reduce_contract {
    static_assert(CONFIG_T::n_slots >= 1, "input_reduce: at least one slot is needed");
    static_assert(number_traits<coord_T>::width >= bits_for<CONFIG_T::height>::value &&
                      number_traits<coord_T>::width >= bits_for<CONFIG_T::width>::value,
                  "input_reduce: coord_T cannot hold the last row or column");
    static_assert(number_traits<in_T>::fraction == number_traits<out_T>::fraction,
                  "input_reduce: pixels are copied, so both types need the same binary point");
    typedef ap_uint<bits_for<CONFIG_T::n_slots>::value> count_t;  // 0 .. n_slots

    // The threshold as a number: it can lie just outside of in_T, so that all or no pixels are kept.
    static const int limit_width = number_traits<in_T>::width + 2;
    typedef ap_fixed<limit_width, limit_width - number_traits<in_T>::fraction> limit_t;
    static limit_t limit() { return from_raw<limit_t>(ap_int<limit_width>((long long)(CONFIG_T::threshold))); }
};

// Empty slots.
template <class out_T, class coord_T, typename CONFIG_T>
void clear_slots(out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels], coord_T coords[2 * CONFIG_T::n_slots]) {
#pragma HLS INLINE
    for (unsigned i = 0; i < 2 * CONFIG_T::n_slots; i++) {
#pragma HLS UNROLL
        coords[i] = 0;
    }
    for (unsigned i = 0; i < CONFIG_T::n_slots * CONFIG_T::n_channels; i++) {
#pragma HLS UNROLL
        features[i] = 0;
    }
    SPARSE_QONNX_REGISTERS(coords, 2 * CONFIG_T::n_slots);
    SPARSE_QONNX_REGISTERS(features, CONFIG_T::n_slots * CONFIG_T::n_channels);
}

// One pixel per cycle. A kept pixel is offered to every slot and taken by the one that is next.
template <class in_T, class out_T, class coord_T, typename CONFIG_T>
void input_reduce_stream(const in_T image[CONFIG_T::height * CONFIG_T::width * CONFIG_T::n_channels],
                         out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                         coord_T coords[2 * CONFIG_T::n_slots]) {
    typedef input_reduce_contract<in_T, out_T, coord_T, CONFIG_T> contract;
    typedef typename contract::count_t count_t;
    const typename contract::limit_t limit = contract::limit();
    static const unsigned n_pixels = CONFIG_T::height * CONFIG_T::width;
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
    clear_slots<out_T, coord_T, CONFIG_T>(features, coords);
    count_t n_found = 0;
    SPARSE_QONNX_REGISTERS(&n_found, 1);
    for (unsigned y = 0; y < CONFIG_T::height; y++) {
        SPARSE_QONNX_PIPELINE(CONFIG_T::height, 1);
        for (unsigned x = 0; x < CONFIG_T::width; x++) {
#pragma HLS PIPELINE II = 1
            SPARSE_QONNX_PIPELINE(CONFIG_T::width, 1);
            const ap_uint<bits_for<n_pixels - 1>::value> at = varying<n_pixels>(y * CONFIG_T::width + x);
            const coord_T row = coord_T(varying<CONFIG_T::height>(y)) + coord_T(1);
            const coord_T column = coord_T(varying<CONFIG_T::width>(x)) + coord_T(1);
            const in_T first = pick<n_pixels, CONFIG_T::n_channels>(image, at);
            const bit_t is_kept = first > limit && n_found != CONFIG_T::n_slots;
            put<CONFIG_T::n_slots, 2>(coords, n_found, row, is_kept, 0);
            put<CONFIG_T::n_slots, 2>(coords, n_found, column, is_kept, 1);
            for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
                const in_T value = c == 0 ? first : pick<n_pixels, CONFIG_T::n_channels>(image, at, c);
                put<CONFIG_T::n_slots, CONFIG_T::n_channels>(features, n_found, out_T(value), is_kept, c);
            }
            n_found = select<count_t>(is_kept, n_found + 1, n_found);
        }
    }
}

// The geometry of a chunk: columns of one row, or whole rows.
template <typename CONFIG_T>
struct chunk_shape {
    static const unsigned pixels = CONFIG_T::pixels_per_cycle;
    static_assert(pixels >= 1 && pixels <= CONFIG_T::height * CONFIG_T::width &&
                      (pixels <= CONFIG_T::width || pixels % CONFIG_T::width == 0),
                  "input_reduce: pixels_per_cycle is at most one row, or whole rows");
    static const unsigned columns = pixels < CONFIG_T::width ? pixels : CONFIG_T::width;
    static const unsigned rows = pixels / columns;
    static const unsigned row_steps = (CONFIG_T::height + rows - 1) / rows;
    static const unsigned column_steps = (CONFIG_T::width + columns - 1) / columns;
    static const bool is_padded = row_steps * rows != CONFIG_T::height || column_steps * columns != CONFIG_T::width;
};

// The image as whole chunks; what lies outside is never kept.
template <class in_T, typename CONFIG_T>
void pad_image(const in_T* image, in_T* padded) {
#pragma HLS INLINE
    typedef chunk_shape<CONFIG_T> chunk;
    static const unsigned height = chunk::row_steps * chunk::rows, width = chunk::column_steps * chunk::columns;
    for (unsigned y = 0; y < height; y++) {
#pragma HLS UNROLL
        for (unsigned x = 0; x < width; x++) {
#pragma HLS UNROLL
            const bool is_inside = y < CONFIG_T::height && x < CONFIG_T::width;
            for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
                const unsigned from = (y * CONFIG_T::width + x) * CONFIG_T::n_channels + c;
                padded[(y * width + x) * CONFIG_T::n_channels + c] = is_inside ? image[from] : in_T(0);
            }
        }
    }
}

// counts[i] becomes counts[0] + .. + counts[i]: a prefix sum in log2(N) levels of N / 2 additions.
template <unsigned N, class count_T>
void add_up_before(count_T counts[N]) {
#pragma HLS INLINE
    for (unsigned half = 1; half < N; half *= 2) {
#pragma HLS UNROLL
        for (unsigned i = 0; i < N; i++) {
#pragma HLS UNROLL
            if (i & half) counts[i] = counts[i] + counts[(i & ~(half - 1)) - 1];
        }
    }
}

// Pixels of a chunk: their values, and the number of pixels of the chunk before each, less those before it in the list.
template <unsigned N, class out_T, class place_T, typename CONFIG_T>
struct pixel_list {
    out_T values[N * CONFIG_T::n_channels];
    place_T places[N];
    bit_t is_kept[N];

    // Entry `to` becomes entry `from` where `condition` holds.
    void move(const bit_t condition, const unsigned to, const unsigned from) {
#pragma HLS INLINE
        places[to] = select(condition, places[from], places[to]);
        for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
            values[to * CONFIG_T::n_channels + c] =
                select(condition, values[from * CONFIG_T::n_channels + c], values[to * CONFIG_T::n_channels + c]);
        }
    }
};

// `pixels_per_cycle` pixels per cycle, whole rows or a part of one. Three networks of static selects:
//   count     how many pixels before each one are not kept
//   compact   each kept pixel moves forward by that many places, by powers of two, the smallest first: order is kept,
//             so two never meet
//   place     the compacted pixels move back behind those found so far, by powers of two, and free slots take them
template <class in_T, class out_T, class coord_T, typename CONFIG_T>
void input_reduce_chunk(const in_T image[CONFIG_T::height * CONFIG_T::width * CONFIG_T::n_channels],
                        out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                        coord_T coords[2 * CONFIG_T::n_slots]) {
    typedef input_reduce_contract<in_T, out_T, coord_T, CONFIG_T> contract;
    typedef typename contract::count_t count_t;
    const typename contract::limit_t limit = contract::limit();
    typedef chunk_shape<CONFIG_T> chunk;
    static const unsigned n_pixels = chunk::pixels, n_channels = CONFIG_T::n_channels, n_slots = CONFIG_T::n_slots;
    static const unsigned n_steps = chunk::row_steps * chunk::column_steps;
    static const unsigned reach = 1 << levels_for<n_pixels>::value;  // compacting moves by less
    typedef ap_uint<bits_for<n_pixels>::value> place_t;
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
    clear_slots<out_T, coord_T, CONFIG_T>(features, coords);
    count_t n_found = 0;
    SPARSE_QONNX_REGISTERS(&n_found, 1);

    in_T padded[chunk::is_padded ? n_steps * n_pixels * n_channels : 1];  // wires
    if (chunk::is_padded) {
        pad_image<in_T, CONFIG_T>(image, padded);
    }
    const in_T* const source = chunk::is_padded ? padded : image;

    for (unsigned step = 0; step < n_steps; step++) {
#pragma HLS PIPELINE II = 1
        SPARSE_QONNX_PIPELINE(n_steps, 1);
        SPARSE_QONNX_SKIP_IDLE(n_found == n_slots);
        const unsigned top = step / chunk::column_steps * chunk::rows;
        const unsigned left = step % chunk::column_steps * chunk::columns;
        const ap_uint<bits_for<n_steps - 1>::value> at = varying<n_steps>(step);
        pixel_list<n_pixels, out_T, place_t, CONFIG_T> pixels;
#pragma HLS ARRAY_PARTITION variable = pixels.values complete
#pragma HLS ARRAY_PARTITION variable = pixels.places complete
#pragma HLS ARRAY_PARTITION variable = pixels.is_kept complete
        for (unsigned i = 0; i < n_pixels; i++) {
#pragma HLS UNROLL
            const unsigned y = i / chunk::columns, x = i % chunk::columns;
            for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
                const in_T value = pick<n_steps, n_pixels * n_channels>(source, at, i * n_channels + c);
                pixels.values[i * n_channels + c] = value;
                if (c == 0) pixels.is_kept[i] = value > limit;
            }
            if (chunk::is_padded && (top + y >= CONFIG_T::height || left + x >= CONFIG_T::width)) {
                pixels.is_kept[i] = false;
            }
            pixels.places[i] = select<place_t>(pixels.is_kept[i], 0, 1);
        }
        SPARSE_QONNX_SKIP_IDLE(std::find(pixels.is_kept, pixels.is_kept + n_pixels, true) == pixels.is_kept + n_pixels);
        // How many pixels before each are not kept: by how much it moves forward, and, added to where it then is, where
        // in the chunk it came from.
        add_up_before<n_pixels, place_t>(pixels.places);
        const place_t n_kept = place_t(n_pixels) - pixels.places[n_pixels - 1];

        for (unsigned shift = 0; (1u << shift) < n_pixels; shift++) {
#pragma HLS UNROLL
            const unsigned distance = 1 << shift;
            for (unsigned i = 0; i < n_pixels; i++) {
#pragma HLS UNROLL
                // Further back than the shifts to come can reach, nothing is of use.
                if (i >= n_slots + reach - 2 * distance) continue;
                const bit_t stays = pixels.is_kept[i] && !bit_at(pixels.places[i], shift);
                if (i + distance < n_pixels) {
                    const bit_t moves_in = pixels.is_kept[i + distance] && bit_at(pixels.places[i + distance], shift);
                    pixels.move(moves_in, i, i + distance);
                    pixels.is_kept[i] = moves_in || stays;
                } else {
                    pixels.is_kept[i] = stays;
                }
            }
        }

        pixel_list<n_slots, out_T, place_t, CONFIG_T> placed;
#pragma HLS ARRAY_PARTITION variable = placed.values complete
#pragma HLS ARRAY_PARTITION variable = placed.places complete
#pragma HLS ARRAY_PARTITION variable = placed.is_kept complete
        for (unsigned slot = 0; slot < n_slots; slot++) {
#pragma HLS UNROLL
            const unsigned from = slot < n_pixels ? slot : 0;
            placed.is_kept[slot] = slot < n_pixels ? pixels.is_kept[from] : bit_t(false);
            placed.places[slot] = pixels.places[from] + place_t(from);
            for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
                placed.values[slot * n_channels + c] = pixels.values[from * n_channels + c];
            }
        }
        for (unsigned shift = 0; (1u << shift) <= n_slots; shift++) {
#pragma HLS UNROLL
            const unsigned distance = 1 << shift;
            const bit_t moves = bit_at(n_found, shift);
            for (unsigned slot = n_slots; slot-- > 0;) {
#pragma HLS UNROLL
                if (slot >= distance) placed.move(moves, slot, slot - distance);
                const bit_t is_kept = slot >= distance ? placed.is_kept[slot - distance] : bit_t(false);
                placed.is_kept[slot] = (moves && is_kept) || (!moves && placed.is_kept[slot]);
            }
        }

        const coord_T first_row =
            coord_T(varying<chunk::row_steps>(step / chunk::column_steps) * unsigned(chunk::rows));
        const coord_T first_column =
            coord_T(varying<chunk::column_steps>(step % chunk::column_steps) * unsigned(chunk::columns));
        for (unsigned slot = 0; slot < n_slots; slot++) {
#pragma HLS UNROLL
            const place_t place = placed.places[slot];
            const place_t y = chunk::rows > 1 ? divide_by<chunk::columns>(place) : place_t(0);
            const place_t x = chunk::rows > 1 ? place_t(place - y * place_t(unsigned(chunk::columns))) : place;
            const coord_T row = first_row + coord_T(y) + coord_T(1), column = first_column + coord_T(x) + coord_T(1);
            coords[2 * slot] = select(placed.is_kept[slot], row, coords[2 * slot]);
            coords[2 * slot + 1] = select(placed.is_kept[slot], column, coords[2 * slot + 1]);
            for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
                const unsigned i = slot * n_channels + c;
                features[i] = select(placed.is_kept[slot], placed.values[i], features[i]);
            }
        }
        const ap_uint<bits_for<n_pixels + n_slots>::value> n_all = n_found + n_kept;
        n_found = select<count_t>(n_all > n_slots, n_slots, count_t(n_all));
    }
}

// As published firmware does it, for comparison: a tree over all pixels finds the first that is left, once per slot,
// every `initiation_interval` cycles.
template <class in_T, class out_T, class coord_T, typename CONFIG_T>
void input_reduce_tree(const in_T image[CONFIG_T::height * CONFIG_T::width * CONFIG_T::n_channels],
                       out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                       coord_T coords[2 * CONFIG_T::n_slots]) {
    typedef input_reduce_contract<in_T, out_T, coord_T, CONFIG_T> contract;
    typedef typename contract::count_t count_t;
    const typename contract::limit_t limit = contract::limit();
    static const unsigned n_pixels = CONFIG_T::height * CONFIG_T::width, n_channels = CONFIG_T::n_channels;
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
    bit_t is_left[n_pixels];
#pragma HLS ARRAY_PARTITION variable = is_left complete
    SPARSE_QONNX_REGISTERS(is_left, n_pixels);
    for (unsigned i = 0; i < n_pixels; i++) {
#pragma HLS UNROLL
        is_left[i] = image[i * n_channels] > limit;
    }
    for (unsigned slot = 0; slot < CONFIG_T::n_slots; slot++) {
#pragma HLS PIPELINE II = CONFIG_T::initiation_interval
        SPARSE_QONNX_PIPELINE(CONFIG_T::n_slots, CONFIG_T::initiation_interval);
        bit_t is_found[n_pixels];
        coord_T rows[n_pixels], columns[n_pixels];
        out_T values[n_pixels * n_channels];
#pragma HLS ARRAY_PARTITION variable = is_found complete
#pragma HLS ARRAY_PARTITION variable = rows complete
#pragma HLS ARRAY_PARTITION variable = columns complete
#pragma HLS ARRAY_PARTITION variable = values complete
        for (unsigned i = 0; i < n_pixels; i++) {
#pragma HLS UNROLL
            is_found[i] = is_left[i];
            rows[i] = i / CONFIG_T::width + 1;
            columns[i] = i % CONFIG_T::width + 1;
            for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
                values[i * n_channels + c] = image[i * n_channels + c];
            }
        }
        for (unsigned distance = 1; distance < n_pixels; distance *= 2) {
#pragma HLS UNROLL
            for (unsigned i = 0; i + distance < n_pixels; i += 2 * distance) {
#pragma HLS UNROLL
                const unsigned right = i + distance;
                rows[i] = select(is_found[i], rows[i], rows[right]);
                columns[i] = select(is_found[i], columns[i], columns[right]);
                for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
                    values[i * n_channels + c] =
                        select(is_found[i], values[i * n_channels + c], values[right * n_channels + c]);
                }
                is_found[i] = is_found[i] || is_found[right];
            }
        }
        for (unsigned i = 0; i < n_pixels; i++) {
#pragma HLS UNROLL
            const bit_t is_this = rows[0] == i / CONFIG_T::width + 1 && columns[0] == i % CONFIG_T::width + 1;
            is_left[i] = is_left[i] && !is_this;
        }
        const count_t to = varying<CONFIG_T::n_slots>(slot);
        put<CONFIG_T::n_slots, 2>(coords, to, select<coord_T>(is_found[0], rows[0], 0), true, 0);
        put<CONFIG_T::n_slots, 2>(coords, to, select<coord_T>(is_found[0], columns[0], 0), true, 1);
        for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
            const out_T value = select<out_T>(is_found[0], values[c], 0);
            put<CONFIG_T::n_slots, CONFIG_T::n_channels>(features, to, value, true, c);
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_INPUT_REDUCE_H_
