#ifndef SPARSE_QONNX_SIM_CENSUS_COUNTED_SELECT_H_
#define SPARSE_QONNX_SIM_CENSUS_COUNTED_SELECT_H_

#include "ap_fixed.h"
#include "ap_int.h"

// common/select.h for the census: the same functions, counted.
namespace sparse_qonnx {

typedef census::bit bit_t;

namespace census {

// What a selector of `a` and `b` can give.
inline bit joined(const bit& a, const bit& b) { return bit(join(a.range(), b.range())); }
template <class T>
T joined(const T& a, const T& b) {
    T result = a;
    result.widen(b.range());
    return result;
}

inline int bits_of(const bit&) { return 1; }
template <class T>
int bits_of(const T& x) {
    return bits(x.range());
}

}  // namespace census

// Constant inputs need no wires and are not counted.
template <class T>
T select(const bit_t& condition, const T& a, const T& b) {
    if (condition.range().is_constant()) return condition.range().lo ? a : b;
    const T result = census::joined(a, b);
    const int inputs = !a.range().is_constant() + !b.range().is_constant();
    census::count(census::kind::SELECT, census::bits_of(result), 1, inputs);
    // Both constant: gates or wires of the condition. Equal ones: no choice.
    return result;
}

template <unsigned N>
ap_uint<bits_for<N - 1>::value> varying(const unsigned) {
    return ap_uint<bits_for<N - 1>::value>(census::number<40, 40, true>(census::interval(0, N - 1)));
}

template <unsigned N, unsigned STRIDE = 1, class T, class index_T>
T pick(const T* array, const index_T& index, const unsigned offset = 0, const unsigned n = N) {
    const census::interval at = census::range_of(index);
    if (at.is_constant()) return array[(at.lo >= 0 && at.lo < n ? unsigned(at.lo) : 0) * STRIDE + offset];
    T result = array[offset];
    unsigned wires = 0;
    for (unsigned i = 0; i < n; i++) {
        const T& entry = array[i * STRIDE + offset];
        result = census::joined(result, entry);
        wires += !entry.range().is_constant();
    }
    if (wires > 0) {
        census::count(census::kind::SELECT, census::bits_of(result), 1, wires);
    } else if (!result.range().is_constant()) {
        census::count(census::kind::ROM, census::bits_of(result), 1, n);
    }
    return result;
}

template <class T>
void load(T& state, const T& value, const bit_t& enable) {
    if (enable.range().is(0)) return;
    state = enable.range().is(1) ? value : census::joined(state, value);
}

template <unsigned N, unsigned STRIDE = 1, class T, class index_T, class value_T>
void put(T* array, const index_T& index, const value_T& value, const bit_t& enable = true, const unsigned offset = 0) {
    for (unsigned i = 0; i < N; i++) {
        const bit_t is_here = enable && index == i;
        T& entry = array[i * STRIDE + offset];
        if (is_here.range().is(0)) continue;
        entry = is_here.range().is(1) ? T(value) : census::joined(entry, T(value));
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_CENSUS_COUNTED_SELECT_H_
