#ifndef SPARSE_QONNX_SPARSE_TO_DENSE_H_
#define SPARSE_QONNX_SPARSE_TO_DENSE_H_

#include "common/number.h"

namespace sparse_qonnx {

// Scatter the active pixels into an image of zeros.
//
//   features [n_slots, n_channels], coords [n_slots, 2]  ->  image [height, width, n_channels]
//
// CONFIG_T: n_slots, n_channels, height, width. Coordinates occur once, so an image pixel is the OR of what the slots
// offer. Static selects: every pixel looks at every slot, no data-dependent address.
template <class in_T, class coord_T, class out_T, typename CONFIG_T>
void sparse_to_dense(const in_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                     const coord_T coords[2 * CONFIG_T::n_slots],
                     out_T image[CONFIG_T::height * CONFIG_T::width * CONFIG_T::n_channels]) {
    static_assert(number_traits<in_T>::fraction == number_traits<out_T>::fraction,
                  "sparse_to_dense: pixels are copied, so both types need the same binary point");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
#pragma HLS ARRAY_PARTITION variable = image complete
    for (unsigned i = 0; i < CONFIG_T::height * CONFIG_T::width * CONFIG_T::n_channels; i++) {
#pragma HLS UNROLL
        image[i] = 0;
    }
    for (unsigned slot = 0; slot < CONFIG_T::n_slots; slot++) {
#pragma HLS UNROLL
        for (unsigned row = 0; row < CONFIG_T::height; row++) {
#pragma HLS UNROLL
            if (coords[2 * slot] != row + 1) continue;
            for (unsigned column = 0; column < CONFIG_T::width; column++) {
#pragma HLS UNROLL
                if (coords[2 * slot + 1] != column + 1) continue;
                for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
                    image[(row * CONFIG_T::width + column) * CONFIG_T::n_channels + c] =
                        from_raw<out_T>(to_raw(features[slot * CONFIG_T::n_channels + c]));
                }
            }
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SPARSE_TO_DENSE_H_
