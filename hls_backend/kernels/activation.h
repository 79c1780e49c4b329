#ifndef SPARSE_QONNX_ACTIVATION_H_
#define SPARSE_QONNX_ACTIVATION_H_

#include "common/number.h"
#include "common/select.h"

namespace sparse_qonnx {

// Functions of one value: data [n_values] -> result [n_values]. Numerators with a pending divisor keep it.

// -x. CONFIG_T: n_values.
template <class in_T, class out_T, typename CONFIG_T>
void negate(const in_T data[CONFIG_T::n_values], out_T result[CONFIG_T::n_values]) {
    static_assert(number_traits<out_T>::fraction >= number_traits<in_T>::fraction, "negate: out_T would drop bits");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
    for (unsigned i = 0; i < CONFIG_T::n_values; i++) {
#pragma HLS UNROLL
        result[i] = out_T(-data[i]);
    }
}

// |x|. CONFIG_T: n_values.
template <class in_T, class out_T, typename CONFIG_T>
void magnitude(const in_T data[CONFIG_T::n_values], out_T result[CONFIG_T::n_values]) {
    static_assert(number_traits<out_T>::fraction >= number_traits<in_T>::fraction, "magnitude: out_T would drop bits");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
    for (unsigned i = 0; i < CONFIG_T::n_values; i++) {
#pragma HLS UNROLL
        result[i] = select<out_T>(data[i] < 0, out_T(-data[i]), out_T(data[i]));
    }
}

// The nearest value of lowest .. highest, both in steps of limit_t, which holds them and every value.
// CONFIG_T: n_values, lowest, highest, limit_t.
template <class in_T, class out_T, typename CONFIG_T>
void clip(const in_T data[CONFIG_T::n_values], out_T result[CONFIG_T::n_values]) {
    typedef typename CONFIG_T::limit_t limit_t;
    static_assert(CONFIG_T::lowest <= CONFIG_T::highest, "clip: the limits exclude each other");
    static_assert(number_traits<limit_t>::fraction >= number_traits<in_T>::fraction, "clip: limit_t would drop bits");
    static_assert(number_traits<out_T>::fraction >= number_traits<limit_t>::fraction, "clip: out_T would drop bits");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
    const limit_t lowest = from_raw<limit_t>(ap_int<64>(CONFIG_T::lowest));
    const limit_t highest = from_raw<limit_t>(ap_int<64>(CONFIG_T::highest));
    for (unsigned i = 0; i < CONFIG_T::n_values; i++) {
#pragma HLS UNROLL
        const limit_t x = data[i];
        result[i] = out_T(select<limit_t>(x < lowest, lowest, select<limit_t>(highest < x, highest, x)));
    }
}

// x, or x * slope where it is negative; slope = 2^-fraction of slope_t, so the product is wires.
// CONFIG_T: n_values, slope_t.
template <class in_T, class out_T, typename CONFIG_T>
void leaky_relu(const in_T data[CONFIG_T::n_values], out_T result[CONFIG_T::n_values]) {
    typedef typename CONFIG_T::slope_t slope_t;
    static_assert(
        number_traits<out_T>::fraction >= number_traits<in_T>::fraction &&
            number_traits<out_T>::fraction >= number_traits<in_T>::fraction + number_traits<slope_t>::fraction,
        "leaky_relu: out_T would drop bits");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
    const slope_t slope = from_raw<slope_t>(ap_uint<1>(1));
    for (unsigned i = 0; i < CONFIG_T::n_values; i++) {
#pragma HLS UNROLL
        result[i] = select<out_T>(data[i] < 0, out_T(data[i] * slope), out_T(data[i]));
    }
}

// x where it is at least `first`, in steps of in_T, and 0 elsewhere. CONFIG_T: n_values, first.
template <class in_T, class out_T, typename CONFIG_T>
void thresholded_relu(const in_T data[CONFIG_T::n_values], out_T result[CONFIG_T::n_values]) {
    static_assert(number_traits<out_T>::fraction >= number_traits<in_T>::fraction,
                  "thresholded_relu: out_T would drop bits");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
    typedef ap_int<number_traits<in_T>::width + 2> steps_t;  // holds one step more than the largest value
    const steps_t first = CONFIG_T::first;
    for (unsigned i = 0; i < CONFIG_T::n_values; i++) {
#pragma HLS UNROLL
        const steps_t steps = to_raw(data[i]);
        result[i] = select<out_T>(steps < first, out_T(0), out_T(data[i]));
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_ACTIVATION_H_
