#ifndef SPARSE_QONNX_GLOBAL_POOL_H_
#define SPARSE_QONNX_GLOBAL_POOL_H_

#include "common/number.h"
#include "common/pooling.h"
#include "common/select.h"

namespace sparse_qonnx {

// The sum or maximum of each channel over a whole image: image [n_rows, n_channels] -> result [n_channels].
//
// AVERAGE gives the sum with the binary point moved by average_shift, as sparse_pool does.
// CONFIG_T: mode, n_rows, n_channels, average_shift, accum_t.
template <class in_T, class out_T, typename CONFIG_T>
void global_pool(const in_T image[CONFIG_T::n_rows * CONFIG_T::n_channels], out_T result[CONFIG_T::n_channels]) {
    typedef typename CONFIG_T::accum_t accum_t;
    static_assert(number_traits<accum_t>::fraction == number_traits<in_T>::fraction,
                  "global_pool: accum_t needs the binary point of the input");
    static_assert(number_traits<out_T>::fraction == number_traits<accum_t>::fraction + int(CONFIG_T::average_shift),
                  "global_pool: out_T needs the binary point of the sum, moved by average_shift");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = image complete
#pragma HLS ARRAY_PARTITION variable = result complete
    for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
        accum_t value = image[c];
        for (unsigned row = 1; row < CONFIG_T::n_rows; row++) {
#pragma HLS UNROLL
            const in_T next = image[row * CONFIG_T::n_channels + c];
            if (CONFIG_T::mode == pooling::AVERAGE) {
                value += next;
            } else {
                value = select<accum_t>(value < next, next, value);
            }
        }
        result[c] = from_raw<out_T>(to_raw(value));
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_GLOBAL_POOL_H_
