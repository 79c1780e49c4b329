#ifndef SPARSE_QONNX_COMMON_SELECT_H_
#define SPARSE_QONNX_COMMON_SELECT_H_

#include "hardware.h"
#include "number.h"

// Choices that depend on data, without branches: what the hardware does anyway, and what can be recorded
// (sim/netlist/recorded_select.h holds the versions that do).

#ifdef SPARSE_QONNX_NETLIST
#include "recorded_select.h"
#else

namespace sparse_qonnx {

// Truth that depends on data; plain bool is for constants.
typedef bool bit_t;

// a where `condition` holds, otherwise b.
template <class T>
T select(const bit_t condition, const T& a, const T& b) {
#pragma HLS INLINE
    return condition ? a : b;
}

// The index of a loop that is not unrolled, 0 .. N - 1: a counter in hardware.
template <unsigned N>
ap_uint<bits_for<N - 1>::value> varying(const unsigned i) {
#pragma HLS INLINE
    return i;
}

// array[index * STRIDE + offset], index one of 0 .. n - 1, n at most N: a selector of n inputs, or a ROM where all are
// constants. For any other index the result is some value; in C-simulation the first one.
template <unsigned N, unsigned STRIDE = 1, class T, class index_T>
T pick(const T* array, const index_T& index, const unsigned offset = 0, const unsigned n = N) {
#pragma HLS INLINE
#ifdef __SYNTHESIS__
    (void)n;
    return array[unsigned(index) * STRIDE + offset];
#else
    return array[(index < n ? unsigned(index) : 0) * STRIDE + offset];
#endif
}

// A register takes a value where `enable` holds, and keeps its own otherwise: the enable that every register has.
template <class T>
void load(T& state, const T& value, const bit_t enable) {
#pragma HLS INLINE
    if (enable) state = value;
}

// array[index * STRIDE + offset] = value where `enable` holds and index is one of 0 .. N - 1; otherwise nothing. Every
// entry compares its own place: no data-dependent address.
template <unsigned N, unsigned STRIDE = 1, class T, class index_T, class value_T>
void put(T* array, const index_T& index, const value_T& value, const bit_t enable = true, const unsigned offset = 0) {
#pragma HLS INLINE
    for (unsigned i = 0; i < N; i++) {
#pragma HLS UNROLL
        if (enable && index == i) array[i * STRIDE + offset] = value;
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_NETLIST

#endif  // SPARSE_QONNX_COMMON_SELECT_H_
