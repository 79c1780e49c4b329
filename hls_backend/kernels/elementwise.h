#ifndef SPARSE_QONNX_ELEMENTWISE_H_
#define SPARSE_QONNX_ELEMENTWISE_H_

#include "common/number.h"
#include "common/select.h"
#include "common/view.h"

namespace sparse_qonnx {

// Two operands, value by value; dimensions of length 1 are broadcast.
//
// CONFIG_T: operation; a_view, b_view: the operands as the result's shape; a_factor_t, b_factor_t (ap_uint types that
// hold the factors), a_factor, b_factor: they bring numerators with different pending divisors onto one divisor, and
// are 1 everywhere else; common_t holds both operands after that, for comparisons.

// SUBTRACT_FROM is b - a.
enum class binary { ADD, SUBTRACT, SUBTRACT_FROM, MULTIPLY, MAXIMUM, MINIMUM };

template <class out_T, typename CONFIG_T, class a_T, class b_T>
out_T combine(const a_T& a, const b_T& b) {
#pragma HLS INLINE
    typedef typename CONFIG_T::common_t common_t;
    static const int a_fraction = number_traits<a_T>::fraction, b_fraction = number_traits<b_T>::fraction;
    static const int finest = larger<a_fraction, b_fraction>::value;
    static const int needed = CONFIG_T::operation == binary::MULTIPLY ? a_fraction + b_fraction : finest;
    static_assert(number_traits<out_T>::fraction >= needed, "elementwise: out_T would drop bits of the result");
    static_assert(number_traits<common_t>::fraction >= finest, "elementwise: common_t would drop bits of an operand");
    const typename CONFIG_T::a_factor_t a_factor = CONFIG_T::a_factor;
    const typename CONFIG_T::b_factor_t b_factor = CONFIG_T::b_factor;
    switch (CONFIG_T::operation) {  // a constant: one branch remains
        case binary::ADD:
            return out_T(a * a_factor + b * b_factor);
        case binary::SUBTRACT:
            return out_T(a * a_factor - b * b_factor);
        case binary::SUBTRACT_FROM:
            return out_T(b * b_factor - a * a_factor);
        case binary::MULTIPLY:
            return out_T(a * b);
        case binary::MAXIMUM:
        case binary::MINIMUM: {
            const common_t x = a * a_factor, y = b * b_factor;
            const bit_t is_second = CONFIG_T::operation == binary::MAXIMUM ? bit_t(x < y) : bit_t(y < x);
            return out_T(select<common_t>(is_second, y, x));
        }
    }
    return out_T(0);
}

// Both are data.
template <class a_T, class b_T, class out_T, typename CONFIG_T>
void elementwise(const a_T a[CONFIG_T::a_view::extent], const b_T b[CONFIG_T::b_view::extent],
                 out_T result[CONFIG_T::a_view::size]) {
    static_assert(CONFIG_T::a_view::size == CONFIG_T::b_view::size, "elementwise: both operands have one shape");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = a complete
#pragma HLS ARRAY_PARTITION variable = b complete
#pragma HLS ARRAY_PARTITION variable = result complete
    for (unsigned i = 0; i < CONFIG_T::a_view::size; i++) {
#pragma HLS UNROLL
        result[i] = combine<out_T, CONFIG_T>(a[CONFIG_T::a_view::at(i)], b[CONFIG_T::b_view::at(i)]);
    }
}

// b is constant; its numerators are already on the common divisor.
template <class a_T, class out_T, typename CONFIG_T, class b_T>
void elementwise_constant(const a_T a[CONFIG_T::a_view::extent], out_T result[CONFIG_T::a_view::size],
                          const b_T b[CONFIG_T::b_view::extent]) {
    elementwise<a_T, b_T, out_T, CONFIG_T>(a, b, result);
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_ELEMENTWISE_H_
