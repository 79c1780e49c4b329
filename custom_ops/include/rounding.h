// Rounding to an integer, in floating point and without branches, so that loops vectorise on every processor.
//
// The baseline of x86-64 has no rounding instruction, and a call of the library's floor an element would cost more than
// everything else. Adding and subtracting 2^(mantissa bits) rounds to nearest, ties to even, exactly; everything else
// follows from that. NaN and infinities pass through.
#ifndef SPARSE_QONNX_ROUNDING_H_
#define SPARSE_QONNX_ROUNDING_H_

#include <limits>

#include "isa.h"

namespace sparse_qonnx {

template <typename T>
SPARSE_QONNX_INLINE T Abs(T x) {
    return x < 0 ? -x : x;
}

// 1, 0 or -1; 0 for NaN.
template <typename T>
SPARSE_QONNX_INLINE T Sign(T x) {
    return static_cast<T>(x > 0) - static_cast<T>(x < 0);
}

template <typename T>
SPARSE_QONNX_INLINE T RoundHalfEven(T x) {
    constexpr T kShift = std::numeric_limits<T>::digits == 24 ? T(8388608) : T(4503599627370496);
    const T shift = x < 0 ? -kShift : kShift;
    const T rounded = (x + shift) - shift;
    return Abs(x) >= kShift ? x : rounded;  // from 2^(mantissa bits) on, every number is an integer
}

template <typename T>
SPARSE_QONNX_INLINE T Floor(T x) {
    const T rounded = RoundHalfEven(x);
    return rounded > x ? rounded - 1 : rounded;
}

template <typename T>
SPARSE_QONNX_INLINE T Ceil(T x) {
    return -Floor(-x);
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_ROUNDING_H_
