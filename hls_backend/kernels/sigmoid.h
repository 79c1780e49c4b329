#ifndef SPARSE_QONNX_SIGMOID_H_
#define SPARSE_QONNX_SIGMOID_H_

#include "common/number.h"

namespace sparse_qonnx {

// 1 / (1 + exp(-x)) from a table over |x|; the other half is its mirror, 1 - y.
//
//   data [n_values], table [table_size]  ->  result [n_values]
//
// Entry t is the value at |x| = t * 2^index_shift steps of in_T; the index is rounded to the nearest entry and stays at
// the last one beyond the table. CONFIG_T: n_values, table_size, index_shift, and table_t = out_T's binary point.
template <class in_T, class out_T, typename CONFIG_T, class table_T>
void sigmoid(const in_T data[CONFIG_T::n_values], out_T result[CONFIG_T::n_values],
             const table_T table[CONFIG_T::table_size]) {
    typedef ap_uint<number_traits<in_T>::width + 1> magnitude_t;
    const out_T one = 1;
    for (unsigned i = 0; i < CONFIG_T::n_values; i++) {
#pragma HLS PIPELINE II = 1
        const bool is_negative = data[i] < 0;
        const ap_int<number_traits<in_T>::width + 1> raw = to_raw(data[i]);
        const magnitude_t magnitude = is_negative ? magnitude_t(-raw) : magnitude_t(raw);
        const magnitude_t half = (magnitude_t(1) << CONFIG_T::index_shift) >> 1;
        const magnitude_t nearest = (magnitude + half) >> CONFIG_T::index_shift;
        const unsigned index = nearest < CONFIG_T::table_size ? unsigned(nearest) : CONFIG_T::table_size - 1;
        const table_T value = table[index];
        result[i] = is_negative ? out_T(one - value) : out_T(value);
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIGMOID_H_
