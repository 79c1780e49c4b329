#ifndef SPARSE_QONNX_TRANSPOSE_H_
#define SPARSE_QONNX_TRANSPOSE_H_

#include "common/number.h"
#include "common/view.h"

namespace sparse_qonnx {

// Permuted axes, or parts of them: wires. CONFIG_T: data_view, the data in the order of the result, from the value
// number `first` of n_data on.
template <class in_T, class out_T, typename CONFIG_T>
void transpose(const in_T data[CONFIG_T::n_data], out_T result[CONFIG_T::data_view::size]) {
    static_assert(number_traits<in_T>::fraction == number_traits<out_T>::fraction,
                  "transpose: values are copied, so both types need the same binary point");
    static_assert(CONFIG_T::first + CONFIG_T::data_view::extent <= CONFIG_T::n_data,
                  "transpose: reads beyond the data");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
    for (unsigned i = 0; i < CONFIG_T::data_view::size; i++) {
#pragma HLS UNROLL
        result[i] = data[CONFIG_T::first + CONFIG_T::data_view::at(i)];
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_TRANSPOSE_H_
