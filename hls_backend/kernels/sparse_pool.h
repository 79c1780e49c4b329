#ifndef SPARSE_QONNX_SPARSE_POOL_H_
#define SPARSE_QONNX_SPARSE_POOL_H_

#include "common/number.h"
#include "common/pooling.h"

namespace sparse_qonnx {

// Pooling of the active pixels; the stride is the window, and a partial window at the bottom or right edge is dropped.
//
//   features [n_slots, n_channels], coords [n_slots, 2] on an image of height x width
//   pooled, pooled_coords   the same shapes: each pooled cell in the slot of its first pixel, other slots empty
//
// AVERAGE gives the *sum*, exactly, with the binary point moved by average_shift, the twos in window_height *
// window_width: the average where nothing else is in that product, otherwise a numerator whose odd divisor the
// generator carries on. MAX is the maximum over the whole window, the zeros of its inactive pixels included.
//
// CONFIG_T: mode, n_slots, n_channels, height, width, window_height, window_width, average_shift, accum_t,
// initiation_interval. The order of the slots decides only where a cell is put.
template <class in_T, class coord_T, class out_T, class out_coord_T, typename CONFIG_T>
void sparse_pool(const in_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                 const coord_T coords[2 * CONFIG_T::n_slots], out_T pooled[CONFIG_T::n_slots * CONFIG_T::n_channels],
                 out_coord_T pooled_coords[2 * CONFIG_T::n_slots]) {
    typedef typename CONFIG_T::accum_t accum_t;
    static const unsigned pooled_height = CONFIG_T::height / CONFIG_T::window_height;
    static const unsigned pooled_width = CONFIG_T::width / CONFIG_T::window_width;
    static const unsigned window = CONFIG_T::window_height * CONFIG_T::window_width;
    static_assert(pooled_height >= 1 && pooled_width >= 1, "sparse_pool: the window is larger than the image");
    static_assert(number_traits<out_coord_T>::width >= bits_for<pooled_height>::value &&
                      number_traits<out_coord_T>::width >= bits_for<pooled_width>::value,
                  "sparse_pool: out_coord_T cannot hold the last row or column");
    static_assert(number_traits<accum_t>::fraction == number_traits<in_T>::fraction,
                  "sparse_pool: accum_t needs the binary point of the input");
    static_assert(number_traits<out_T>::fraction == number_traits<accum_t>::fraction + int(CONFIG_T::average_shift),
                  "sparse_pool: out_T needs the binary point of the sum, moved by average_shift");
    static_assert(CONFIG_T::mode == pooling::AVERAGE || CONFIG_T::average_shift == 0,
                  "sparse_pool: average_shift belongs to AVERAGE");
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
#pragma HLS ARRAY_PARTITION variable = pooled complete
#pragma HLS ARRAY_PARTITION variable = pooled_coords complete

    out_coord_T cells[2 * CONFIG_T::n_slots];  // 1-based, (0, 0): no cell
#pragma HLS ARRAY_PARTITION variable = cells complete
    for (unsigned slot = 0; slot < CONFIG_T::n_slots; slot++) {
#pragma HLS UNROLL
        const unsigned row = unsigned(coords[2 * slot]), column = unsigned(coords[2 * slot + 1]);
        const unsigned cell_row = (row + CONFIG_T::window_height - 1) / CONFIG_T::window_height;
        const unsigned cell_column = (column + CONFIG_T::window_width - 1) / CONFIG_T::window_width;
        const bool is_whole = row != 0 && cell_row <= pooled_height && cell_column <= pooled_width;
        cells[2 * slot] = is_whole ? cell_row : 0;
        cells[2 * slot + 1] = is_whole ? cell_column : 0;
    }

    for (unsigned slot = 0; slot < CONFIG_T::n_slots; slot++) {
#pragma HLS PIPELINE II = CONFIG_T::initiation_interval
        bool is_first = cells[2 * slot] != 0;
        bool is_member[CONFIG_T::n_slots];
#pragma HLS ARRAY_PARTITION variable = is_member complete
        ap_uint<bits_for<CONFIG_T::n_slots>::value> n_members = 0;
        for (unsigned other = 0; other < CONFIG_T::n_slots; other++) {
#pragma HLS UNROLL
            is_member[other] = cells[2 * other] == cells[2 * slot] && cells[2 * other + 1] == cells[2 * slot + 1];
            if (is_member[other] && other < slot) is_first = false;
            n_members += is_member[other] ? 1 : 0;
        }
        for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
            accum_t value = 0;
            if (CONFIG_T::mode == pooling::AVERAGE) {
                for (unsigned other = 0; other < CONFIG_T::n_slots; other++) {
#pragma HLS UNROLL
                    if (is_member[other]) value += features[other * CONFIG_T::n_channels + c];
                }
            } else {
                // From this slot's own value; an inactive pixel in the window takes part as a 0.
                value = features[slot * CONFIG_T::n_channels + c];
                if (n_members < window && value < 0) value = 0;
                for (unsigned other = 0; other < CONFIG_T::n_slots; other++) {
#pragma HLS UNROLL
                    if (is_member[other] && value < features[other * CONFIG_T::n_channels + c]) {
                        value = features[other * CONFIG_T::n_channels + c];
                    }
                }
            }
            pooled[slot * CONFIG_T::n_channels + c] = is_first ? from_raw<out_T>(to_raw(value)) : out_T(0);
        }
        pooled_coords[2 * slot] = is_first ? cells[2 * slot] : out_coord_T(0);
        pooled_coords[2 * slot + 1] = is_first ? cells[2 * slot + 1] : out_coord_T(0);
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SPARSE_POOL_H_
