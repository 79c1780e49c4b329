#ifndef SPARSE_QONNX_COMMON_REDUCE_H_
#define SPARSE_QONNX_COMMON_REDUCE_H_

#include <algorithm>

#include "blocks.h"
#include "compact.h"
#include "number.h"
#include "pixels.h"
#include "select.h"

namespace sparse_qonnx {

// The bodies of input_reduce.h, the same for an image that is there as a whole and one that comes as a stream: source_T
// is a pointer or a reference to a stream, and read_chunk knows how to read it.

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
    SPARSE_QONNX_REGISTERS(coords, 2 * CONFIG_T::n_slots)
    SPARSE_QONNX_REGISTERS(features, CONFIG_T::n_slots * CONFIG_T::n_channels)
}

// One pixel per cycle. A kept pixel is offered to every slot and taken by the one that is next.
template <class in_T, class out_T, class coord_T, typename CONFIG_T, class source_T>
void reduce_one_by_one(source_T image, out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                       coord_T coords[2 * CONFIG_T::n_slots]) {
#pragma HLS INLINE
    typedef input_reduce_contract<in_T, out_T, coord_T, CONFIG_T> contract;
    typedef typename contract::count_t count_t;
    typedef chunk_shape<CONFIG_T> chunk;
    static_assert(chunk::n_pixels == 1, "input_reduce_stream: pixels_per_cycle is 1");
    const typename contract::limit_t limit = contract::limit();
    clear_slots<out_T, coord_T, CONFIG_T>(features, coords);
    count_t n_found = 0;
    SPARSE_QONNX_REGISTERS(&n_found, 1)
    chunk_start<coord_T, CONFIG_T> at;
    SPARSE_QONNX_REGISTERS(&at.row, 1)
    SPARSE_QONNX_REGISTERS(&at.column, 1)
    for (unsigned step = 0; step < chunk::n_steps; step++) {
#pragma HLS PIPELINE II = 1
        SPARSE_QONNX_LOOP(step, chunk::n_steps, 1)
        in_T values[CONFIG_T::n_channels];
#pragma HLS ARRAY_PARTITION variable = values complete
        read_chunk<CONFIG_T>(image, varying<chunk::n_steps>(step), bit_t(true), values);
        const bit_t is_kept = values[0] > limit && n_found != CONFIG_T::n_slots;
        put<CONFIG_T::n_slots, 2>(coords, n_found, at.row, is_kept, 0);
        put<CONFIG_T::n_slots, 2>(coords, n_found, at.column, is_kept, 1);
        for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
            put<CONFIG_T::n_slots, CONFIG_T::n_channels>(features, n_found, out_T(values[c]), is_kept, c);
        }
        n_found = select<count_t>(is_kept, n_found + 1, n_found);
        at.advance(true);
    }
}

// Those of `kept` that another one stands before: all but the first. any[0] || .. || any[i] comes from log2(N) levels.
template <unsigned N>
void without_first(const bit_t kept[N], bit_t others[N]) {
#pragma HLS INLINE
    bit_t any[N];
#pragma HLS ARRAY_PARTITION variable = any complete
    for (unsigned i = 0; i < N; i++) {
#pragma HLS UNROLL
        any[i] = kept[i];
    }
    for (unsigned half = 1; half < N; half *= 2) {
#pragma HLS UNROLL
        for (unsigned start = half; start < N; start += 2 * half) {
#pragma HLS UNROLL
            for (unsigned i = start; i < start + half && i < N; i++) {
#pragma HLS UNROLL
                any[i] = any[i] | any[start - 1];
            }
        }
    }
    others[0] = false;
    for (unsigned i = 1; i < N; i++) {
#pragma HLS UNROLL
        others[i] = kept[i] & any[i - 1];
    }
}

// `pixels_per_cycle` pixels are looked at together, and those to be kept are taken from them one per cycle: a chunk
// with k of them takes k cycles, one with none takes one. So there are as many cycles as chunks and slots, whatever the
// image holds, and no more than one pixel to be selected and placed in any of them. Three registers of one chunk each,
// so that what a cycle decides, whether the next chunk moves up, has four cycles' time:
//   read     values as they come
//   next     compared with the threshold
//   current  pixels not yet taken, and beside them, so that no cycle has to find both the first and whether there are
//            more, all of them but the first
template <class in_T, class out_T, class coord_T, typename CONFIG_T, class source_T>
void reduce_by_scan(source_T image, out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                    coord_T coords[2 * CONFIG_T::n_slots]) {
#pragma HLS INLINE
    typedef input_reduce_contract<in_T, out_T, coord_T, CONFIG_T> contract;
    typedef typename contract::count_t count_t;
    typedef typename number_traits<out_T>::raw_t raw_t;
    typedef chunk_shape<CONFIG_T> chunk;
    typedef typename chunk::index_t index_t;
    typedef typename chunk::place_t place_t;
    static const unsigned n_pixels = chunk::n_pixels, n_channels = CONFIG_T::n_channels, n_slots = CONFIG_T::n_slots;
    static const unsigned n_trips = chunk::n_steps + n_slots + 2;
    const typename contract::limit_t limit = contract::limit();
    clear_slots<out_T, coord_T, CONFIG_T>(features, coords);
    in_T read_values[chunk::n_values];
    out_T next_values[chunk::n_values], current_values[chunk::n_values];
    bit_t next_kept[n_pixels], current_kept[n_pixels], current_others[n_pixels];
#pragma HLS ARRAY_PARTITION variable = read_values complete
#pragma HLS ARRAY_PARTITION variable = next_values complete
#pragma HLS ARRAY_PARTITION variable = next_kept complete
#pragma HLS ARRAY_PARTITION variable = current_values complete
#pragma HLS ARRAY_PARTITION variable = current_kept complete
#pragma HLS ARRAY_PARTITION variable = current_others complete
    for (unsigned i = 0; i < chunk::n_values; i++) {
#pragma HLS UNROLL
        read_values[i] = 0;
        next_values[i] = 0;
        current_values[i] = 0;
        if (i < n_pixels) next_kept[i] = current_kept[i] = current_others[i] = false;
    }
    count_t n_found = 0;
    index_t n_read = 0, read_at = 0;
    bit_t is_read = false, is_next = false, is_current = false;
    chunk_start<coord_T, CONFIG_T> at;
    SPARSE_QONNX_REGISTERS(&at.row, 1)
    SPARSE_QONNX_REGISTERS(&at.column, 1)
    SPARSE_QONNX_REGISTERS(read_values, chunk::n_values)
    SPARSE_QONNX_REGISTERS(next_values, chunk::n_values)
    SPARSE_QONNX_REGISTERS(current_values, chunk::n_values)
    SPARSE_QONNX_REGISTERS(next_kept, n_pixels)
    SPARSE_QONNX_REGISTERS(current_kept, n_pixels)
    SPARSE_QONNX_REGISTERS(current_others, n_pixels)
    SPARSE_QONNX_REGISTERS(&n_found, 1)
    SPARSE_QONNX_REGISTERS(&n_read, 1)
    SPARSE_QONNX_REGISTERS(&read_at, 1)
    SPARSE_QONNX_REGISTERS(&is_read, 1)
    SPARSE_QONNX_REGISTERS(&is_next, 1)
    SPARSE_QONNX_REGISTERS(&is_current, 1)

    for (unsigned trip = 0; trip < n_trips; trip++) {
#pragma HLS PIPELINE II = 1
        SPARSE_QONNX_LOOP(trip, n_trips, 1)
        bit_t is_found = false, is_more = false;
        for (unsigned i = 0; i < n_pixels; i++) {
#pragma HLS UNROLL
            is_found = is_found | current_kept[i];
            is_more = is_more | current_others[i];
        }
        // At most one pixel is the first, so what is selected is joined by OR.
        place_t place = 0;
        raw_t taken[n_channels];
#pragma HLS ARRAY_PARTITION variable = taken complete
        for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
            taken[c] = 0;
        }
        for (unsigned i = 0; i < n_pixels; i++) {
#pragma HLS UNROLL
            SPARSE_QONNX_SKIP_IDLE(!current_kept[i])
            const bit_t is_first = current_kept[i] && !current_others[i];
            place = place | select<place_t>(is_first, place_t(i), place_t(0));
            for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
                taken[c] = taken[c] | select<raw_t>(is_first, to_raw(current_values[i * n_channels + c]), raw_t(0));
            }
        }
        is_found = is_found && n_found != n_slots;
        coord_T row, column;
        at.locate(place, row, column);
        put<n_slots, 2>(coords, n_found, row, is_found, 0);
        put<n_slots, 2>(coords, n_found, column, is_found, 1);
        for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
            put<n_slots, n_channels>(features, n_found, from_raw<out_T>(taken[c]), is_found, c);
        }
        const bit_t is_done = !is_more || n_found >= n_slots - 1;
        n_found = select<count_t>(is_found, n_found + 1, n_found);

        // Where the current chunk is done, all move up.
        at.advance(is_done && is_current);
        load(is_current, is_next, is_done);
        load(is_next, is_read, is_done);
        bit_t next_others[n_pixels], rest[n_pixels];
#pragma HLS ARRAY_PARTITION variable = next_others complete
#pragma HLS ARRAY_PARTITION variable = rest complete
        without_first<n_pixels>(next_kept, next_others);
        without_first<n_pixels>(current_others, rest);
        for (unsigned i = 0; i < n_pixels; i++) {
#pragma HLS UNROLL
            current_kept[i] = select<bit_t>(is_done, next_kept[i], current_others[i]);
            current_others[i] = select<bit_t>(is_done, next_others[i], rest[i]);
            const bit_t is_kept = is_read && read_values[i * n_channels] > limit && chunk::is_inside(i, read_at);
            load(next_kept[i], is_kept, is_done);
        }
        const bit_t is_left = is_done && n_read != chunk::n_steps;
        in_T values[chunk::n_values];
#pragma HLS ARRAY_PARTITION variable = values complete
        read_chunk<CONFIG_T>(image, n_read, is_left, values);
        for (unsigned i = 0; i < chunk::n_values; i++) {
#pragma HLS UNROLL
            load(current_values[i], next_values[i], is_done);
            load(next_values[i], out_T(read_values[i]), is_done);
            load(read_values[i], values[i], is_left);
        }
        load(read_at, n_read, is_left);
        load(is_read, is_left, is_done);
        n_read = select<index_t>(is_left, n_read + 1, n_read);
    }
}

// `pixels_per_cycle` pixels per cycle, whatever they hold. Three networks of static selects:
//   count     how many pixels before each one are not kept
//   compact   each kept pixel moves forward by that many places, by powers of two, the smallest first: order is kept,
//             so two never meet
//   place     the compacted pixels move back behind those found so far, by powers of two, and free slots take them
template <class in_T, class out_T, class coord_T, typename CONFIG_T, class source_T>
void reduce_by_chunk(source_T image, out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                     coord_T coords[2 * CONFIG_T::n_slots]) {
#pragma HLS INLINE
    typedef input_reduce_contract<in_T, out_T, coord_T, CONFIG_T> contract;
    typedef typename contract::count_t count_t;
    const typename contract::limit_t limit = contract::limit();
    typedef chunk_shape<CONFIG_T> chunk;
    typedef typename chunk::place_t place_t;
    static const unsigned n_pixels = chunk::n_pixels, n_channels = CONFIG_T::n_channels, n_slots = CONFIG_T::n_slots;
    clear_slots<out_T, coord_T, CONFIG_T>(features, coords);
    count_t n_found = 0;
    SPARSE_QONNX_REGISTERS(&n_found, 1)
    chunk_start<coord_T, CONFIG_T> start;
    SPARSE_QONNX_REGISTERS(&start.row, 1)
    SPARSE_QONNX_REGISTERS(&start.column, 1)

    for (unsigned step = 0; step < chunk::n_steps; step++) {
#pragma HLS PIPELINE II = 1
        SPARSE_QONNX_LOOP(step, chunk::n_steps, 1)
        const typename chunk::index_t at = varying<chunk::n_steps>(step);
        in_T values[chunk::n_values];
        pixel_list<n_pixels, out_T, place_t, CONFIG_T> pixels;
#pragma HLS ARRAY_PARTITION variable = values complete
#pragma HLS ARRAY_PARTITION variable = pixels.values complete
#pragma HLS ARRAY_PARTITION variable = pixels.places complete
#pragma HLS ARRAY_PARTITION variable = pixels.is_kept complete
        const chunk_start<coord_T, CONFIG_T> here = start;
        start.advance(true);
        read_chunk<CONFIG_T>(image, at, bit_t(true), values);
        for (unsigned i = 0; i < n_pixels; i++) {
#pragma HLS UNROLL
            for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
                pixels.values[i * n_channels + c] = values[i * n_channels + c];
            }
            pixels.is_kept[i] = values[i * n_channels] > limit && chunk::is_inside(i, at);
            pixels.places[i] = select<place_t>(pixels.is_kept[i], 0, 1);
        }
        SPARSE_QONNX_SKIP_IDLE(n_found == n_slots)
        SPARSE_QONNX_SKIP_IDLE(std::find(pixels.is_kept, pixels.is_kept + n_pixels, true) == pixels.is_kept + n_pixels)
        // How many pixels before each are not kept: by how much it moves forward, and, added to where it then is, where
        // in the chunk it came from.
        add_up_before<n_pixels, place_t>(pixels.places);
        const place_t n_kept = place_t(n_pixels) - pixels.places[n_pixels - 1];

        pixels.template compact<n_slots>();
        pixel_list<n_slots, out_T, place_t, CONFIG_T> placed;
#pragma HLS ARRAY_PARTITION variable = placed.values complete
#pragma HLS ARRAY_PARTITION variable = placed.places complete
#pragma HLS ARRAY_PARTITION variable = placed.is_kept complete
        placed.take(pixels);
        placed.move_back(n_found);
        for (unsigned slot = 0; slot < n_slots; slot++) {
#pragma HLS UNROLL
            coord_T row, column;
            here.locate(placed.places[slot], row, column);
            load(coords[2 * slot], row, placed.is_kept[slot]);
            load(coords[2 * slot + 1], column, placed.is_kept[slot]);
            for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
                load(features[slot * n_channels + c], placed.values[slot * n_channels + c], placed.is_kept[slot]);
            }
        }
        const ap_uint<bits_for<n_pixels + n_slots>::value> n_all = n_found + n_kept;
        n_found = select<count_t>(n_all > n_slots, n_slots, count_t(n_all));
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_COMMON_REDUCE_H_
