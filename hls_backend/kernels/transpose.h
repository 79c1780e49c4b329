#ifndef SPARSE_QONNX_TRANSPOSE_H_
#define SPARSE_QONNX_TRANSPOSE_H_

#include "common/number.h"
#include "common/view.h"

namespace sparse_qonnx {

// Permuted axes: wires. CONFIG_T: data_view, the data in the order of the result.
template <class in_T, class out_T, typename CONFIG_T>
void transpose(const in_T data[CONFIG_T::data_view::extent], out_T result[CONFIG_T::data_view::size]) {
    static_assert(number_traits<in_T>::fraction == number_traits<out_T>::fraction,
                  "transpose: values are copied, so both types need the same binary point");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
    for (unsigned i = 0; i < CONFIG_T::data_view::size; i++) {
#pragma HLS UNROLL
        result[i] = data[CONFIG_T::data_view::at(i)];
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_TRANSPOSE_H_
