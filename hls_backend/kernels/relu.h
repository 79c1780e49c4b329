#ifndef SPARSE_QONNX_RELU_H_
#define SPARSE_QONNX_RELU_H_

#include "common/number.h"
#include "common/select.h"

namespace sparse_qonnx {

// max(x, 0), value by value: data[n_values] -> result[n_values]. out_T has the binary point of in_T and no sign to
// keep.
template <class in_T, class out_T, typename CONFIG_T>
void relu(const in_T data[CONFIG_T::n_values], out_T result[CONFIG_T::n_values]) {
    static_assert(number_traits<in_T>::fraction == number_traits<out_T>::fraction,
                  "relu: values are copied, so both types need the same binary point");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
    for (unsigned i = 0; i < CONFIG_T::n_values; i++) {
#pragma HLS UNROLL
        result[i] = select<out_T>(data[i] < 0, out_T(0), from_raw<out_T>(to_raw(data[i])));
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_RELU_H_
