#ifndef SPARSE_QONNX_SOFTMAX_H_
#define SPARSE_QONNX_SOFTMAX_H_

#include "common/number.h"
#include "common/select.h"

namespace sparse_qonnx {

// exp(x) / sum(exp(x)) from tables: data [n_rows, n_columns] -> result, over each row.
//
// With d = max(x) - x, rounded to 2^drop_bits steps of in_T, exp(-d) is the product of a coarse and a fine table, read
// with the high and the low bits of d; beyond the coarse table it is 0. The sum lies between 1 and n_columns; its
// reciprocal is read from a table with entry t at 1 + t * 2^inverse_shift steps of exp_t, rounded to the nearest entry.
//
// CONFIG_T: n_rows, n_columns, drop_bits, fine_bits, coarse_size, inverse_size, inverse_shift, exp_t.
template <class in_T, class out_T, typename CONFIG_T, class coarse_T, class fine_T, class inverse_T>
void softmax(const in_T data[CONFIG_T::n_rows * CONFIG_T::n_columns],
             out_T result[CONFIG_T::n_rows * CONFIG_T::n_columns], const coarse_T coarse_table[CONFIG_T::coarse_size],
             const fine_T fine_table[1 << CONFIG_T::fine_bits], const inverse_T inverse_table[CONFIG_T::inverse_size]) {
    static const int width = number_traits<in_T>::width + 1;
    typedef typename CONFIG_T::exp_t exp_t;
    static const int exp_fraction = number_traits<exp_t>::fraction;
    typedef ap_uint<width> distance_t;
    // n_columns exponentials of at most 1, as integers on the grid of the exp table.
    typedef ap_uint<exp_fraction + 1 + bits_for<CONFIG_T::n_columns>::value> sum_t;
    static_assert(CONFIG_T::coarse_size >= 1 && CONFIG_T::inverse_size >= 1, "softmax: a table is empty");

    for (unsigned row = 0; row < CONFIG_T::n_rows; row++) {
#pragma HLS PIPELINE
        SPARSE_QONNX_LOOP(row, CONFIG_T::n_rows, 1)
        const ap_uint<bits_for<CONFIG_T::n_rows - 1>::value> at = varying<CONFIG_T::n_rows>(row);
        in_T values[CONFIG_T::n_columns];
#pragma HLS ARRAY_PARTITION variable = values complete
        for (unsigned i = 0; i < CONFIG_T::n_columns; i++) {
#pragma HLS UNROLL
            values[i] = pick<CONFIG_T::n_rows, CONFIG_T::n_columns>(data, at, i);
        }
        in_T largest = values[0];
        for (unsigned i = 1; i < CONFIG_T::n_columns; i++) {
#pragma HLS UNROLL
            largest = select<in_T>(largest < values[i], values[i], largest);
        }
        exp_t exponentials[CONFIG_T::n_columns];
#pragma HLS ARRAY_PARTITION variable = exponentials complete
        sum_t sum = 0;
        for (unsigned i = 0; i < CONFIG_T::n_columns; i++) {
#pragma HLS UNROLL
            const distance_t distance = ap_int<width>(to_raw(largest)) - ap_int<width>(to_raw(values[i]));
            const distance_t half = (distance_t(1) << unsigned(CONFIG_T::drop_bits)) >> 1;
            const distance_t nearest = (distance + half) >> unsigned(CONFIG_T::drop_bits);
            const ap_uint<CONFIG_T::fine_bits + 1> fine = nearest & distance_t((1u << CONFIG_T::fine_bits) - 1);
            const distance_t coarse = nearest >> unsigned(CONFIG_T::fine_bits);
            const exp_t product =
                pick<CONFIG_T::coarse_size>(coarse_table, coarse) * pick<(1u << CONFIG_T::fine_bits)>(fine_table, fine);
            exponentials[i] = select<exp_t>(coarse < unsigned(CONFIG_T::coarse_size), product, exp_t(0));
            sum += to_raw(exponentials[i]);
        }
        const sum_t one = sum_t(1) << exp_fraction;
        const sum_t above_one = select<sum_t>(sum > one, sum - one, 0);
        const sum_t half = (sum_t(1) << unsigned(CONFIG_T::inverse_shift)) >> 1;
        const sum_t entry = (above_one + half) >> unsigned(CONFIG_T::inverse_shift);
        const sum_t last = CONFIG_T::inverse_size - 1;
        const inverse_T inverse = pick<CONFIG_T::inverse_size>(inverse_table, select<sum_t>(entry < last, entry, last));
        for (unsigned i = 0; i < CONFIG_T::n_columns; i++) {
#pragma HLS UNROLL
            put<CONFIG_T::n_rows, CONFIG_T::n_columns>(result, at, out_T(exponentials[i] * inverse), true, i);
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SOFTMAX_H_
