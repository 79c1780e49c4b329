#ifndef SPARSE_QONNX_ADD_H_
#define SPARSE_QONNX_ADD_H_

#include "common/number.h"

namespace sparse_qonnx {

// a * a_factor + b * b_factor, value by value; a is [n_rows, n_columns].
// The factors bring numerators with different pending divisors onto one divisor; they are 1 everywhere else.
//
// CONFIG_T: n_rows, n_columns, a_factor_t, b_factor_t (ap_uint types that hold the factors), a_factor, b_factor.

// b is [n_rows, n_columns] too.
template <class a_T, class b_T, class out_T, typename CONFIG_T>
void add(const a_T a[CONFIG_T::n_rows * CONFIG_T::n_columns], const b_T b[CONFIG_T::n_rows * CONFIG_T::n_columns],
         out_T result[CONFIG_T::n_rows * CONFIG_T::n_columns]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = a complete
#pragma HLS ARRAY_PARTITION variable = b complete
#pragma HLS ARRAY_PARTITION variable = result complete
    const typename CONFIG_T::a_factor_t a_factor = CONFIG_T::a_factor;
    const typename CONFIG_T::b_factor_t b_factor = CONFIG_T::b_factor;
    for (unsigned i = 0; i < CONFIG_T::n_rows * CONFIG_T::n_columns; i++) {
#pragma HLS UNROLL
        result[i] = a[i] * a_factor + b[i] * b_factor;
    }
}

// b is one row [n_columns], added to every row of a: a bias. Its numerators are already on the common divisor.
template <class a_T, class out_T, typename CONFIG_T, class b_T>
void add_row(const a_T a[CONFIG_T::n_rows * CONFIG_T::n_columns], out_T result[CONFIG_T::n_rows * CONFIG_T::n_columns],
             const b_T b[CONFIG_T::n_columns]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = a complete
#pragma HLS ARRAY_PARTITION variable = b complete
#pragma HLS ARRAY_PARTITION variable = result complete
    const typename CONFIG_T::a_factor_t a_factor = CONFIG_T::a_factor;
    for (unsigned row = 0; row < CONFIG_T::n_rows; row++) {
#pragma HLS UNROLL
        for (unsigned column = 0; column < CONFIG_T::n_columns; column++) {
#pragma HLS UNROLL
            const unsigned i = row * CONFIG_T::n_columns + column;
            result[i] = a[i] * a_factor + b[column];
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_ADD_H_
