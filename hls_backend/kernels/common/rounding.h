#ifndef SPARSE_QONNX_COMMON_ROUNDING_H_
#define SPARSE_QONNX_COMMON_ROUNDING_H_

#include "number.h"
#include "select.h"

namespace sparse_qonnx {

// Rounding and overflow of a quantizer, by the names of ap_fixed; CEIL and UP (away from zero) are qonnx's.
enum class rounding { TRN, RND, RND_CONV, TRN_ZERO, RND_ZERO, RND_MIN_INF, RND_INF, CEIL, UP };
// SAT_NARROW is qonnx's unsigned narrow range, 0 .. 2^w - 2. NONE: proven not to overflow.
enum class overflow { NONE, WRAP, SAT, SAT_SYM, SAT_NARROW, WRAP_SM };

// floor(n / d) of an exact division, and where the remainder lies: enough for every rounding mode, ties included.
template <int W>
struct quotient {
    ap_int<W> floor;
    bit_t is_exact;
    bit_t is_half;
    bit_t is_above_half;
};

// n / (DIVISOR * 2^shift). The constant division is a multiplication by MULTIPLIER / 2^MULTIPLIER_SHIFT, which the
// generator proves to be exact for every n of W bits; the rest is a shift by a constant or by a table entry.
template <class CONFIG_T, int W, class shift_T>
quotient<W> divide(const ap_int<W>& n, const shift_T& shift) {
#pragma HLS INLINE
    quotient<W> result;
    const ap_uint<W> one = 1;
    ap_int<W> whole = n;
    ap_uint<bits_for<CONFIG_T::divisor>::value> rest = 0;
    if (CONFIG_T::divisor > 1) {
        const bit_t is_negative = n < 0;
        const ap_uint<W> magnitude = select<ap_int<W> >(is_negative, ~n, n);  // floor(n / d) = ~floor(~n / d) for n < 0
        const ap_uint<W + bits_for<CONFIG_T::multiplier>::value> scaled =
            magnitude * ap_uint<bits_for<CONFIG_T::multiplier>::value>(CONFIG_T::multiplier);
        const ap_int<W> floored = ap_uint<W>(scaled >> CONFIG_T::multiplier_shift);
        whole = select<ap_int<W> >(is_negative, ~floored, floored);
        rest = n - whole * ap_int<bits_for<CONFIG_T::divisor>::value + 1>(CONFIG_T::divisor);
    }
    const ap_uint<W> low = ap_uint<W>(whole) & ap_uint<W>((one << shift) - 1);  // bits shifted out
    const ap_uint<W> half = (one << shift) >> 1;                                // 0 where nothing is shifted out
    typedef ap_uint<bits_for<2 * CONFIG_T::divisor>::value> twice_t;
    const twice_t twice = twice_t(rest) << 1;  // widened first: a shift keeps the width
    result.floor = whole >> shift;
    result.is_exact = low == 0 && rest == 0;
    const bit_t is_whole = shift == 0;  // nothing falls off but the remainder of the division
    if (CONFIG_T::divisor > 1) {
        result.is_half = select<bit_t>(is_whole, twice == CONFIG_T::divisor, low == half && rest == 0);
        result.is_above_half =
            select<bit_t>(is_whole, twice > CONFIG_T::divisor, low > half || (low == half && rest != 0));
    } else {
        result.is_half = !is_whole && low == half;
        result.is_above_half = !is_whole && low > half;
    }
    return result;
}

// The quotient as an integer. The mode is a template argument: one branch of the chain remains.
template <rounding MODE, int W>
ap_int<W> round(const quotient<W>& q) {
#pragma HLS INLINE
    const bit_t is_negative = q.floor < 0;  // of the quotient: floor is negative exactly where it is
    const bit_t is_odd = q.floor[0];
    bit_t up = false;
    switch (MODE) {
        case rounding::TRN:
            up = false;
            break;
        case rounding::RND:
            up = q.is_half || q.is_above_half;
            break;
        case rounding::RND_CONV:
            up = q.is_above_half || (q.is_half && is_odd);
            break;
        case rounding::TRN_ZERO:
            up = is_negative && !q.is_exact;
            break;
        case rounding::RND_ZERO:
            up = q.is_above_half || (q.is_half && is_negative);
            break;
        case rounding::RND_MIN_INF:
            up = q.is_above_half;
            break;
        case rounding::RND_INF:
            up = q.is_above_half || (q.is_half && !is_negative);
            break;
        case rounding::CEIL:
            up = !q.is_exact;
            break;
        case rounding::UP:
            up = !is_negative && !q.is_exact;
            break;
    }
    return q.floor + select<ap_int<2> >(up, 1, 0);
}

// `rounded` brought into `width` bits (sign included). `q` is what it was rounded from: WRAP_SM mirrors by the
// unrounded value.
template <overflow MODE, int W, class width_T>
ap_int<W> wrap_or_saturate(const ap_int<W>& rounded, const quotient<W>& q, const width_T& width,
                           const bit_t is_signed) {
#pragma HLS INLINE
    const ap_int<W> one = 1;
    const ap_int<W> half_range = one << (width - 1);                                           // 2^(width - 1)
    const ap_int<W> positive_range = select<ap_int<W> >(is_signed, half_range, one << width);  // 2^integer bits
    const ap_int<W> bias = select<ap_int<W> >(is_signed, half_range, 0);
    const ap_int<W> mask = (one << width) - 1;
    switch (MODE) {
        case overflow::NONE:
            return rounded;
        case overflow::WRAP:
            return ap_int<W>(((rounded + bias) & mask) - bias);
        case overflow::SAT:
        case overflow::SAT_SYM:
        case overflow::SAT_NARROW: {
            const ap_int<W> upper = positive_range - (MODE == overflow::SAT_NARROW ? 2 : 1);
            const ap_int<W> lower = select<ap_int<W> >(bit_t(MODE == overflow::SAT_SYM) && is_signed, -upper, -bias);
            return select<ap_int<W> >(rounded > upper, upper, select<ap_int<W> >(rounded < lower, lower, rounded));
        }
        case overflow::WRAP_SM: {
            const ap_int<W> nearest = q.floor + select<ap_int<2> >(q.is_half || q.is_above_half, 1, 0);
            const ap_int<W> interval = q.floor >> width, half_interval = nearest >> (width - 1);
            const bit_t is_odd_interval = nearest != 0 && bit_t(interval[0]);
            const bit_t is_odd_half_interval = half_interval[0];
            ap_int<W> wrapped = ap_int<W>((rounded - positive_range) & mask) - bias;
            wrapped = select<ap_int<W> >(is_odd_half_interval, ~wrapped, wrapped);  // -wrapped - 1 step
            wrapped = select<ap_int<W> >(is_odd_interval, ~wrapped, wrapped);
            return wrapped;
        }
    }
    return rounded;
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_COMMON_ROUNDING_H_
