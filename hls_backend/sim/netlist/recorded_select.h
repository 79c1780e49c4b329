#ifndef SPARSE_QONNX_SIM_NETLIST_RECORDED_SELECT_H_
#define SPARSE_QONNX_SIM_NETLIST_RECORDED_SELECT_H_

#include "ap_fixed.h"
#include "ap_int.h"
#include "loops.h"

// common/select.h for the recorder: the same functions, recorded.
namespace sparse_qonnx {

typedef netlist::bit bit_t;

namespace netlist {

// A number, or a bit, of a type that is known to hold it.
template <class T>
T made(const wire& value) {
    T result;
    result.state() = value;
    return result;
}

}  // namespace netlist

template <class T>
T select(const bit_t& condition, const T& a, const T& b) {
    if (condition.value().is_constant()) return condition.value().lo ? a : b;
    return netlist::made<T>(netlist::choose(condition.value(), a.value(), b.value()));
}

template <unsigned N>
ap_uint<bits_for<N - 1>::value> varying(const unsigned& loop_variable) {
    if (N == 1) return 0;
    const netlist::loop_info& loop = netlist::loop_of(loop_variable);
    if (loop.trips != N) netlist::fail(std::string("varying() and the loop over ") + loop.label + " do not agree");
    return netlist::made<ap_uint<bits_for<N - 1>::value> >(netlist::wire(netlist::interval(0, N - 1), loop.counter));
}

template <unsigned N, unsigned STRIDE = 1, class T, class index_T>
T pick(const T* array, const index_T& index, const unsigned offset = 0, const unsigned n = N) {
    std::vector<netlist::wire> entries;
    const netlist::wire at = netlist::value_of(index);
    if (at.is_constant()) return array[(at.lo >= 0 && at.lo < n ? unsigned(at.lo) : 0) * STRIDE + offset];
    for (unsigned i = 0; i < n; i++) entries.push_back(array[i * STRIDE + offset].value());
    return netlist::made<T>(netlist::pick_from(entries, at));
}

template <class T>
void load(T& state, const T& value, const bit_t& enable) {
    state = select<T>(enable, value, state);
}

template <unsigned N, unsigned STRIDE = 1, class T, class index_T, class value_T>
void put(T* array, const index_T& index, const value_T& value, const bit_t& enable = true, const unsigned offset = 0) {
    const T written = T(value);
    for (unsigned i = 0; i < N; i++) {
        const bit_t is_here = enable && index == i;
        T& entry = array[i * STRIDE + offset];
        entry = select<T>(is_here, written, entry);
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_NETLIST_RECORDED_SELECT_H_
