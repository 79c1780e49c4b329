#ifndef SPARSE_QONNX_SIM_NETLIST_AP_INT_H_
#define SPARSE_QONNX_SIM_NETLIST_AP_INT_H_

#include "operators.h"

// Integers that record; see wire.h.

namespace sparse_qonnx {
namespace netlist {

// What an integer is made of. Xilinx's types round a fixed-point number to 0 there, and nowhere else.
template <int W, int I, bool S>
const number<W, I, S>& integer(const number<W, I, S>& x) {
    static_assert(W <= I, "netlist: an ap_int of a number with a fraction; write to_raw()");
    return x;
}
template <class T>
typename std::enable_if<!std::is_base_of<any_number, T>::value, const T&>::type integer(const T& x) {
    return x;
}

}  // namespace netlist
}  // namespace sparse_qonnx

template <int W>
class ap_int : public sparse_qonnx::netlist::number<W, W, true> {
    typedef sparse_qonnx::netlist::number<W, W, true> base;

  public:
    ap_int() {}
    template <class T>
    ap_int(const T value) : base(sparse_qonnx::netlist::integer(value)) {}
};

template <int W>
class ap_uint : public sparse_qonnx::netlist::number<W, W, false> {
    typedef sparse_qonnx::netlist::number<W, W, false> base;

  public:
    ap_uint() {}
    template <class T>
    ap_uint(const T value) : base(sparse_qonnx::netlist::integer(value)) {}
};

#endif  // SPARSE_QONNX_SIM_NETLIST_AP_INT_H_
