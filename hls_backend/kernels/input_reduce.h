#ifndef SPARSE_QONNX_INPUT_REDUCE_H_
#define SPARSE_QONNX_INPUT_REDUCE_H_

#include "common/number.h"
#include "common/pixels.h"
#include "common/reduce.h"
#include "common/select.h"
#include "common/stream.h"

namespace sparse_qonnx {

// Keep the first n_slots pixels, in raster order, whose first channel is above the threshold.
//
//   image    [height, width, n_channels]   as an array, or as a stream of chunks of pixels_per_cycle pixels in raster
//                                          order; what the last one has too much is ignored
//   features [n_slots, n_channels]   all channels of the kept pixels; an empty slot holds 0
//   coords   [n_slots, 2]            1-based (row, column); (0, 0) is an empty slot
//
// CONFIG_T: height, width, n_channels, n_slots, and `threshold`, an integer on the grid of in_T: for values on that
// grid x > t is the same as x > floor(t), so the compare is exact. in_T and out_T have the same grid; out_T holds what
// can pass.
//
// Four ways to the same result: _stream, one pixel per cycle; _chunk, several, whatever they hold; _scan, several, of
// which one can be kept; _tree, a search through all at once. None of them has a data-dependent address or trip count.

// One pixel per cycle.
template <class in_T, class out_T, class coord_T, typename CONFIG_T>
void input_reduce_stream(const in_T image[CONFIG_T::height * CONFIG_T::width * CONFIG_T::n_channels],
                         out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                         coord_T coords[2 * CONFIG_T::n_slots]) {
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
    reduce_one_by_one<in_T, out_T, coord_T, CONFIG_T, const in_T*>(image, features, coords);
}

template <class in_T, class out_T, class coord_T, typename CONFIG_T>
void input_reduce_stream(hls::stream<beat<in_T, chunk_shape<CONFIG_T>::n_values> >& image,
                         out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                         coord_T coords[2 * CONFIG_T::n_slots]) {
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
    reduce_one_by_one<in_T, out_T, coord_T, CONFIG_T, hls::stream<beat<in_T, chunk_shape<CONFIG_T>::n_values> >&>(
        image, features, coords);
}

// pixels_per_cycle pixels per cycle, whatever they hold.
template <class in_T, class out_T, class coord_T, typename CONFIG_T>
void input_reduce_chunk(const in_T image[CONFIG_T::height * CONFIG_T::width * CONFIG_T::n_channels],
                        out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                        coord_T coords[2 * CONFIG_T::n_slots]) {
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
    reduce_by_chunk<in_T, out_T, coord_T, CONFIG_T, const in_T*>(image, features, coords);
}

template <class in_T, class out_T, class coord_T, typename CONFIG_T>
void input_reduce_chunk(hls::stream<beat<in_T, chunk_shape<CONFIG_T>::n_values> >& image,
                        out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                        coord_T coords[2 * CONFIG_T::n_slots]) {
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
    reduce_by_chunk<in_T, out_T, coord_T, CONFIG_T, hls::stream<beat<in_T, chunk_shape<CONFIG_T>::n_values> >&>(
        image, features, coords);
}

// pixels_per_cycle pixels per cycle, and one more cycle for each that is kept.
template <class in_T, class out_T, class coord_T, typename CONFIG_T>
void input_reduce_scan(const in_T image[CONFIG_T::height * CONFIG_T::width * CONFIG_T::n_channels],
                       out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                       coord_T coords[2 * CONFIG_T::n_slots]) {
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
    reduce_by_scan<in_T, out_T, coord_T, CONFIG_T, const in_T*>(image, features, coords);
}

template <class in_T, class out_T, class coord_T, typename CONFIG_T>
void input_reduce_scan(hls::stream<beat<in_T, chunk_shape<CONFIG_T>::n_values> >& image,
                       out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                       coord_T coords[2 * CONFIG_T::n_slots]) {
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
    reduce_by_scan<in_T, out_T, coord_T, CONFIG_T, hls::stream<beat<in_T, chunk_shape<CONFIG_T>::n_values> >&>(
        image, features, coords);
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
    SPARSE_QONNX_REGISTERS(is_left, n_pixels)
    for (unsigned i = 0; i < n_pixels; i++) {
#pragma HLS UNROLL
        is_left[i] = image[i * n_channels] > limit;
    }
    for (unsigned slot = 0; slot < CONFIG_T::n_slots; slot++) {
#pragma HLS PIPELINE II = CONFIG_T::initiation_interval
        SPARSE_QONNX_LOOP(slot, CONFIG_T::n_slots, CONFIG_T::initiation_interval)
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
