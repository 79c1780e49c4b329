#ifndef SPARSE_QONNX_COMMON_BLOCKS_H_
#define SPARSE_QONNX_COMMON_BLOCKS_H_

#include "select.h"

namespace sparse_qonnx {

// N slots worked off by at most PER_STEP lanes at once: lane k takes the `n_steps` slots from k * n_steps on, one a
// step. Blocks, not every PER_STEP-th slot: then the order of slots in two different lanes is known before any data is.
template <unsigned N, unsigned PER_STEP>
struct blocks {
    static_assert(PER_STEP >= 1 && PER_STEP <= N, "a parallel factor lies between 1 and what there is to do at once");
    static const unsigned n_steps = (N + PER_STEP - 1) / PER_STEP;
    static const unsigned n_lanes = (N + n_steps - 1) / n_steps;
    static const unsigned n_last = N - (n_lanes - 1) * n_steps;  // the last lane can have less to do

    static bool is_slot(const unsigned lane, const unsigned step) { return lane * n_steps + step < N; }
    // The same for a step that is a counter: data, where the lane is the last one and has less to do.
    template <class step_T>
    static bit_t has_slot(const unsigned lane, const step_T& step) {
#pragma HLS INLINE
        return lane + 1 < n_lanes || n_last == n_steps ? bit_t(true) : bit_t(step < n_last);
    }
    static unsigned begin_of(const unsigned lane) { return lane * n_steps; }
    static unsigned end_of(const unsigned lane) { return lane + 1 == n_lanes ? N : (lane + 1) * n_steps; }
};

// What lane `lane` of BLOCKS sees of array[N, ROWS, STRIDE]: entry [lane's slot, row, offset], `index` = step * ROWS +
// row.
template <class BLOCKS, unsigned ROWS, unsigned STRIDE, class T, class index_T>
T pick_slot(const T* array, const unsigned lane, const index_T& index, const unsigned offset) {
#pragma HLS INLINE
    const unsigned start = BLOCKS::begin_of(lane) * ROWS * STRIDE + offset;
    static const unsigned n_all = BLOCKS::n_steps * ROWS, n_last = BLOCKS::n_last * ROWS;
    const unsigned n_before = offset / STRIDE;  // the last ones would lie beyond the end of the block
    if (lane + 1 < BLOCKS::n_lanes) return pick<n_all, STRIDE>(array, index, start, n_all - n_before);
    return pick<n_last, STRIDE>(array, index, start, n_last - n_before);
}

// The same place, written; nothing where the lane has no such slot.
template <class BLOCKS, unsigned ROWS, unsigned STRIDE, class T, class index_T, class value_T>
void put_slot(T* array, const unsigned lane, const index_T& index, const value_T& value, const unsigned offset,
              const bit_t enable = true) {
#pragma HLS INLINE
    const unsigned start = BLOCKS::begin_of(lane) * ROWS * STRIDE + offset;
    if (lane + 1 < BLOCKS::n_lanes) {
        put<BLOCKS::n_steps * ROWS, STRIDE>(array, index, value, enable, start);
    } else {
        put<BLOCKS::n_last * ROWS, STRIDE>(array, index, value, enable, start);
    }
}

// The smallest n with 2^n >= N.
template <unsigned N>
struct levels_for {
    static const unsigned value = 1 + levels_for<(N + 1) / 2>::value;
};
template <>
struct levels_for<1> {
    static const unsigned value = 0;
};

// Bit `at`, a constant, of an integer.
template <class T>
bit_t bit_at(const T& x, const unsigned at) {
#pragma HLS INLINE
    return x[at];
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_COMMON_BLOCKS_H_
