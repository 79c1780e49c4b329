#ifndef SPARSE_QONNX_SIM_NETLIST_AP_FIXED_H_
#define SPARSE_QONNX_SIM_NETLIST_AP_FIXED_H_

#include "ap_int.h"

// Fixed-point numbers that record; see wire.h. The kernels round and saturate in integers, never by a type.

template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
class ap_fixed : public sparse_qonnx::netlist::number<W, I, true> {
    static_assert(Q == AP_TRN && O == AP_WRAP, "netlist: types neither round nor saturate");
    typedef sparse_qonnx::netlist::number<W, I, true> base;

  public:
    ap_fixed() {}
    template <class T>
    ap_fixed(const T value) : base(value) {}
};

template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
class ap_ufixed : public sparse_qonnx::netlist::number<W, I, false> {
    static_assert(Q == AP_TRN && O == AP_WRAP, "netlist: types neither round nor saturate");
    typedef sparse_qonnx::netlist::number<W, I, false> base;

  public:
    ap_ufixed() {}
    template <class T>
    ap_ufixed(const T value) : base(value) {}
};

#endif  // SPARSE_QONNX_SIM_NETLIST_AP_FIXED_H_
