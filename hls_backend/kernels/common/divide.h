#ifndef SPARSE_QONNX_COMMON_DIVIDE_H_
#define SPARSE_QONNX_COMMON_DIVIDE_H_

#include "number.h"

namespace sparse_qonnx {

// n / D for an unsigned n of W bits: a multiplication by the rounded-up reciprocal with bits_for<D - 1> bits more than
// n has, which is exact for all of them; wires where D is a power of two.
template <unsigned D, int W>
ap_uint<W> divide_by(const ap_uint<W>& n) {
#pragma HLS INLINE
    static_assert(D >= 1, "a division by zero");
    static const int shift = W + bits_for<D - 1>::value;
    static_assert(shift < 63, "divide_by: the number is too wide");
    static const unsigned long long reciprocal = ((1ULL << shift) + D - 1) / D;
    if ((D & (D - 1)) == 0) return n >> (bits_for<D>::value - 1);
    const ap_uint<W + shift + 1> scaled = ap_uint<W + shift + 1>(n) * ap_uint<shift + 1>(reciprocal);
    return ap_uint<W>(scaled >> shift);
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_COMMON_DIVIDE_H_
