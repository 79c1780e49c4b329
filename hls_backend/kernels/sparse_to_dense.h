#ifndef SPARSE_QONNX_SPARSE_TO_DENSE_H_
#define SPARSE_QONNX_SPARSE_TO_DENSE_H_

#include "common/blocks.h"
#include "common/number.h"
#include "common/select.h"

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
    static const unsigned n_pixels = CONFIG_T::height * CONFIG_T::width, n_channels = CONFIG_T::n_channels;
    typedef typename number_traits<out_T>::raw_t raw_t;
    for (unsigned i = 0; i < n_pixels * n_channels; i++) {
#pragma HLS UNROLL
        image[i] = 0;
    }
    for (unsigned slot = 0; slot < CONFIG_T::n_slots; slot++) {
#pragma HLS UNROLL
        SPARSE_QONNX_SKIP_IDLE(coords[2 * slot] == 0)
        for (unsigned pixel = 0; pixel < n_pixels; pixel++) {
#pragma HLS UNROLL
            const bit_t is_here =
                coords[2 * slot] == pixel / CONFIG_T::width + 1 && coords[2 * slot + 1] == pixel % CONFIG_T::width + 1;
            SPARSE_QONNX_SKIP_IDLE(!is_here)
            for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
                const raw_t value = to_raw(features[slot * n_channels + c]);
                const raw_t known = to_raw(image[pixel * n_channels + c]);
                image[pixel * n_channels + c] = from_raw<out_T>(raw_t(known | select<raw_t>(is_here, value, raw_t(0))));
            }
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SPARSE_TO_DENSE_H_
