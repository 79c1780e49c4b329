#ifndef SPARSE_QONNX_INPUT_REDUCE_H_
#define SPARSE_QONNX_INPUT_REDUCE_H_

#include "common/number.h"

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
// One pixel per cycle. A kept pixel is offered to every slot and taken by the one that is next: a static select, no
// data-dependent address.
template <class in_T, class out_T, class coord_T, typename CONFIG_T>
void input_reduce(const in_T image[CONFIG_T::height * CONFIG_T::width * CONFIG_T::n_channels],
                  out_T features[CONFIG_T::n_slots * CONFIG_T::n_channels], coord_T coords[2 * CONFIG_T::n_slots]) {
    static_assert(CONFIG_T::n_slots >= 1, "input_reduce: at least one slot is needed");
    static_assert(number_traits<coord_T>::width >= bits_for<CONFIG_T::height>::value &&
                      number_traits<coord_T>::width >= bits_for<CONFIG_T::width>::value,
                  "input_reduce: coord_T cannot hold the last row or column");
    static_assert(number_traits<in_T>::fraction == number_traits<out_T>::fraction,
                  "input_reduce: pixels are copied, so both types need the same binary point");
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete

    for (unsigned slot = 0; slot < CONFIG_T::n_slots; slot++) {
#pragma HLS UNROLL
        coords[2 * slot] = 0;
        coords[2 * slot + 1] = 0;
        for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
            features[slot * CONFIG_T::n_channels + c] = 0;
        }
    }

    ap_uint<bits_for<CONFIG_T::n_slots>::value> n_found = 0;
    for (unsigned row = 0; row < CONFIG_T::height; row++) {
        for (unsigned column = 0; column < CONFIG_T::width; column++) {
#pragma HLS PIPELINE II = 1
            const unsigned pixel = (row * CONFIG_T::width + column) * CONFIG_T::n_channels;
            const bool is_kept = to_raw(image[pixel]) > (long long)(CONFIG_T::threshold) && n_found < CONFIG_T::n_slots;
            if (!is_kept) continue;
            for (unsigned slot = 0; slot < CONFIG_T::n_slots; slot++) {
#pragma HLS UNROLL
                if (n_found != slot) continue;
                coords[2 * slot] = row + 1;
                coords[2 * slot + 1] = column + 1;
                for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
                    features[slot * CONFIG_T::n_channels + c] = from_raw<out_T>(to_raw(image[pixel + c]));
                }
            }
            n_found++;
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_INPUT_REDUCE_H_
