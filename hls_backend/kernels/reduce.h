#ifndef SPARSE_QONNX_REDUCE_H_
#define SPARSE_QONNX_REDUCE_H_

#include "common/number.h"
#include "common/pooling.h"
#include "common/select.h"
#include "common/view.h"

namespace sparse_qonnx {

// The sum, maximum or minimum over some axes: of an image for global pooling, of windows for pooling.
//
// Term t of result o is data[kept_view::at(o) + reduced_view::at(t)]. AVERAGE gives the sum with the binary point moved
// by average_shift, as sparse_pool does; SUM is an average with average_shift 0.
// CONFIG_T: mode, kept_view, reduced_view, average_shift, accum_t: holds every partial sum, or every value.
template <class in_T, class out_T, typename CONFIG_T>
void reduce(const in_T data[CONFIG_T::kept_view::extent + CONFIG_T::reduced_view::extent - 1],
            out_T result[CONFIG_T::kept_view::size]) {
    typedef typename CONFIG_T::accum_t accum_t;
    static_assert(number_traits<accum_t>::fraction == number_traits<in_T>::fraction,
                  "reduce: accum_t needs the binary point of the input");
    static_assert(number_traits<out_T>::fraction == number_traits<accum_t>::fraction + int(CONFIG_T::average_shift),
                  "reduce: out_T needs the binary point of the sum, moved by average_shift");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
    for (unsigned o = 0; o < CONFIG_T::kept_view::size; o++) {
#pragma HLS UNROLL
        const unsigned first = CONFIG_T::kept_view::at(o);
        accum_t value = data[first];
        for (unsigned t = 1; t < CONFIG_T::reduced_view::size; t++) {
#pragma HLS UNROLL
            const in_T next = data[first + CONFIG_T::reduced_view::at(t)];
            if (CONFIG_T::mode == pooling::MAX) {
                value = select<accum_t>(value < next, next, value);
            } else if (CONFIG_T::mode == pooling::MIN) {
                value = select<accum_t>(next < value, next, value);
            } else {
                value += next;
            }
        }
        result[o] = from_raw<out_T>(to_raw(value));
    }
}

// Which term is the largest, or smallest: the first one of equal ones, or the last one where is_last.
// CONFIG_T: mode (MAX or MIN), is_last, kept_view, reduced_view; out_T holds the number of every term.
template <class in_T, class out_T, typename CONFIG_T>
void reduce_to_place(const in_T data[CONFIG_T::kept_view::extent + CONFIG_T::reduced_view::extent - 1],
                     out_T result[CONFIG_T::kept_view::size]) {
    static_assert(CONFIG_T::mode == pooling::MAX || CONFIG_T::mode == pooling::MIN, "reduce_to_place: MAX or MIN");
    static_assert(number_traits<out_T>::fraction == 0, "reduce_to_place: a place is an integer");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
    for (unsigned o = 0; o < CONFIG_T::kept_view::size; o++) {
#pragma HLS UNROLL
        const unsigned first = CONFIG_T::kept_view::at(o);
        in_T best = data[first];
        out_T place = 0;
        for (unsigned t = 1; t < CONFIG_T::reduced_view::size; t++) {
#pragma HLS UNROLL
            const in_T next = data[first + CONFIG_T::reduced_view::at(t)];
            const bit_t is_above = CONFIG_T::is_last ? bit_t(best <= next) : bit_t(best < next);
            const bit_t is_below = CONFIG_T::is_last ? bit_t(next <= best) : bit_t(next < best);
            const bit_t is_better = CONFIG_T::mode == pooling::MAX ? is_above : is_below;
            best = select<in_T>(is_better, next, best);
            place = select<out_T>(is_better, out_T(t), place);
        }
        result[o] = place;
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_REDUCE_H_
