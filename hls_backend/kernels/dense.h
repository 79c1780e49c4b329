#ifndef SPARSE_QONNX_DENSE_H_
#define SPARSE_QONNX_DENSE_H_

#include "common/number.h"

namespace sparse_qonnx {

// Matrix product with a constant matrix, and a bias: result = data x weights + biases.
//
//   data [n_rows, n_inputs], weights [n_inputs, n_outputs], biases [n_outputs]  ->  result [n_rows, n_outputs]
//
// CONFIG_T: n_rows, n_inputs, n_outputs, accum_t (holds every sum exactly).
template <class in_T, class out_T, typename CONFIG_T, class weight_T, class bias_T>
void dense(const in_T data[CONFIG_T::n_rows * CONFIG_T::n_inputs], out_T result[CONFIG_T::n_rows * CONFIG_T::n_outputs],
           const weight_T weights[CONFIG_T::n_inputs * CONFIG_T::n_outputs], const bias_T biases[CONFIG_T::n_outputs]) {
    typedef typename CONFIG_T::accum_t accum_t;
    static_assert(number_traits<accum_t>::fraction >= number_traits<in_T>::fraction + number_traits<weight_T>::fraction,
                  "dense: accum_t would drop bits of a product");
    static_assert(number_traits<accum_t>::fraction >= number_traits<bias_T>::fraction,
                  "dense: accum_t would drop bits of a bias");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
#pragma HLS ARRAY_PARTITION variable = weights complete
#pragma HLS ARRAY_PARTITION variable = biases complete
    for (unsigned row = 0; row < CONFIG_T::n_rows; row++) {
#pragma HLS UNROLL
        accum_t sums[CONFIG_T::n_outputs];
#pragma HLS ARRAY_PARTITION variable = sums complete
        for (unsigned o = 0; o < CONFIG_T::n_outputs; o++) {
#pragma HLS UNROLL
            sums[o] = biases[o];
        }
        for (unsigned i = 0; i < CONFIG_T::n_inputs; i++) {
#pragma HLS UNROLL
            for (unsigned o = 0; o < CONFIG_T::n_outputs; o++) {
#pragma HLS UNROLL
                sums[o] += weights[i * CONFIG_T::n_outputs + o] * data[row * CONFIG_T::n_inputs + i];
            }
        }
        for (unsigned o = 0; o < CONFIG_T::n_outputs; o++) {
#pragma HLS UNROLL
            result[row * CONFIG_T::n_outputs + o] = sums[o];
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_DENSE_H_
