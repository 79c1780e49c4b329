#ifndef SPARSE_QONNX_SIGMOID_H_
#define SPARSE_QONNX_SIGMOID_H_

#include "common/number.h"
#include "common/select.h"

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
        SPARSE_QONNX_LOOP(i, CONFIG_T::n_values, 1)
        const in_T x = pick<CONFIG_T::n_values>(data, varying<CONFIG_T::n_values>(i));
        const bit_t is_negative = x < 0;
        const ap_int<number_traits<in_T>::width + 1> raw = to_raw(x);
        const magnitude_t magnitude = select<magnitude_t>(is_negative, -raw, raw);
        const magnitude_t half = (magnitude_t(1) << CONFIG_T::index_shift) >> 1;
        const magnitude_t nearest = (magnitude + half) >> CONFIG_T::index_shift;
        const magnitude_t last = CONFIG_T::table_size - 1;
        const table_T value = pick<CONFIG_T::table_size>(table, select<magnitude_t>(nearest < last, nearest, last));
        put<CONFIG_T::n_values>(result, varying<CONFIG_T::n_values>(i), select<out_T>(is_negative, one - value, value));
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIGMOID_H_
