#ifndef SPARSE_QONNX_CONCAT_H_
#define SPARSE_QONNX_CONCAT_H_

#include "common/number.h"

namespace sparse_qonnx {

// Channels side by side: a [n_rows, a_columns], b [n_rows, b_columns] -> result [n_rows, a_columns + b_columns].
// The factors bring numerators with different pending divisors onto one divisor; they are 1 everywhere else.
//
// CONFIG_T: n_rows, a_columns, b_columns, a_factor_t, b_factor_t (ap_uint types that hold the factors), a_factor,
// b_factor.
template <class a_T, class b_T, class out_T, typename CONFIG_T>
void concat(const a_T a[CONFIG_T::n_rows * CONFIG_T::a_columns], const b_T b[CONFIG_T::n_rows * CONFIG_T::b_columns],
            out_T result[CONFIG_T::n_rows * (CONFIG_T::a_columns + CONFIG_T::b_columns)]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = a complete
#pragma HLS ARRAY_PARTITION variable = b complete
#pragma HLS ARRAY_PARTITION variable = result complete
    const typename CONFIG_T::a_factor_t a_factor = CONFIG_T::a_factor;
    const typename CONFIG_T::b_factor_t b_factor = CONFIG_T::b_factor;
    static const unsigned n_columns = CONFIG_T::a_columns + CONFIG_T::b_columns;
    for (unsigned row = 0; row < CONFIG_T::n_rows; row++) {
#pragma HLS UNROLL
        for (unsigned column = 0; column < CONFIG_T::a_columns; column++) {
#pragma HLS UNROLL
            result[row * n_columns + column] = a[row * CONFIG_T::a_columns + column] * a_factor;
        }
        for (unsigned column = 0; column < CONFIG_T::b_columns; column++) {
#pragma HLS UNROLL
            result[row * n_columns + CONFIG_T::a_columns + column] = b[row * CONFIG_T::b_columns + column] * b_factor;
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_CONCAT_H_
