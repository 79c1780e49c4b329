#ifndef SPARSE_QONNX_SPARSE_POOL_H_
#define SPARSE_QONNX_SPARSE_POOL_H_

#include "common/blocks.h"
#include "common/divide.h"
#include "common/number.h"
#include "common/pooling.h"
#include "common/select.h"

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
// pixels_per_cycle (slots worked on at once, 1 .. n_slots). The order of the slots decides only where a cell is put.
template <class in_T, class coord_T, class out_T, class out_coord_T, typename CONFIG_T>
void sparse_pool(const in_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                 const coord_T coords[2 * CONFIG_T::n_slots], out_T pooled[CONFIG_T::n_slots * CONFIG_T::n_channels],
                 out_coord_T pooled_coords[2 * CONFIG_T::n_slots]) {
    typedef typename CONFIG_T::accum_t accum_t;
    static const unsigned n_slots = CONFIG_T::n_slots;
    typedef blocks<n_slots, CONFIG_T::pixels_per_cycle> lanes;
    typedef ap_uint<1> member_t;
    // A coordinate and the window: rounding up must not overflow.
    typedef ap_uint<larger<number_traits<coord_T>::width,
                           bits_for<CONFIG_T::window_height + CONFIG_T::window_width>::value>::value +
                    1>
        wide_coord_t;
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

    out_coord_T cells[2 * n_slots];  // 1-based, (0, 0): no cell
#pragma HLS ARRAY_PARTITION variable = cells complete
    for (unsigned slot = 0; slot < n_slots; slot++) {
#pragma HLS UNROLL
        const ap_uint<number_traits<coord_T>::width + 1> row = coords[2 * slot], column = coords[2 * slot + 1];
        // Rounded up: row 1 to window_height give cell row 1, and 0 gives 0.
        const wide_coord_t cell_row =
            divide_by<CONFIG_T::window_height>(wide_coord_t(row + unsigned(CONFIG_T::window_height - 1)));
        const wide_coord_t cell_column =
            divide_by<CONFIG_T::window_width>(wide_coord_t(column + unsigned(CONFIG_T::window_width - 1)));
        bit_t is_whole = row != 0;
        if (pooled_height * CONFIG_T::window_height != CONFIG_T::height) {
            is_whole = is_whole && cell_row <= pooled_height;
        }
        if (pooled_width * CONFIG_T::window_width != CONFIG_T::width) {
            is_whole = is_whole && cell_column <= pooled_width;
        }
        cells[2 * slot] = select<out_coord_T>(is_whole, out_coord_T(cell_row), out_coord_T(0));
        cells[2 * slot + 1] = select<out_coord_T>(is_whole, out_coord_T(cell_column), out_coord_T(0));
    }

    for (unsigned step = 0; step < lanes::n_steps; step++) {
#pragma HLS PIPELINE II = 1
        SPARSE_QONNX_LOOP(step, lanes::n_steps, 1)
        const ap_uint<bits_for<lanes::n_steps - 1>::value> at = varying<lanes::n_steps>(step);
        for (unsigned lane = 0; lane < lanes::n_lanes; lane++) {
#pragma HLS UNROLL
            SPARSE_QONNX_SKIP_IDLE(!lanes::is_slot(lane, step))
            const unsigned begin = lanes::begin_of(lane), end = lanes::end_of(lane);
            const out_coord_T row = pick_slot<lanes, 1, 2>(cells, lane, at, 0);
            const out_coord_T column = pick_slot<lanes, 1, 2>(cells, lane, at, 1);
            bit_t is_first = row != 0;
            bit_t is_member[n_slots];
#pragma HLS ARRAY_PARTITION variable = is_member complete
            ap_uint<bits_for<n_slots>::value> n_members = 0;
            for (unsigned other = 0; other < n_slots; other++) {
#pragma HLS UNROLL
                is_member[other] = cells[2 * other] == row && cells[2 * other + 1] == column;
                if (lanes::n_steps == 1 && other == lane) is_member[other] = true;
                if (other < begin) is_first = is_first && !is_member[other];
                if (other >= begin && other + 1 < end) {  // earlier in this lane's own block: steps know
                    is_first = is_first && !(is_member[other] && at > int(other - begin));
                }
                n_members += select<member_t>(is_member[other], 1, 0);
            }
            for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
                accum_t value = 0;
                if (CONFIG_T::mode == pooling::AVERAGE) {
                    for (unsigned other = 0; other < n_slots; other++) {
#pragma HLS UNROLL
                        value += select<in_T>(is_member[other], features[other * CONFIG_T::n_channels + c], in_T(0));
                    }
                } else {
                    // From this slot's own value; an inactive pixel in the window takes part as a 0.
                    value = pick_slot<lanes, 1, CONFIG_T::n_channels>(features, lane, at, c);
                    const bit_t has_zero = window > n_slots ? bit_t(true) : bit_t(n_members < window);
                    value = select<accum_t>(has_zero && value < 0, accum_t(0), value);
                    for (unsigned other = 0; other < n_slots; other++) {
#pragma HLS UNROLL
                        const accum_t candidate = features[other * CONFIG_T::n_channels + c];
                        value = select<accum_t>(is_member[other] && value < candidate, candidate, value);
                    }
                }
                const out_T result = select<out_T>(is_first, from_raw<out_T>(to_raw(value)), out_T(0));
                put_slot<lanes, 1, CONFIG_T::n_channels>(pooled, lane, at, result, c);
            }
            put_slot<lanes, 1, 2>(pooled_coords, lane, at, select<out_coord_T>(is_first, row, out_coord_T(0)), 0);
            put_slot<lanes, 1, 2>(pooled_coords, lane, at, select<out_coord_T>(is_first, column, out_coord_T(0)), 1);
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SPARSE_POOL_H_
