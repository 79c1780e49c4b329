#ifndef SPARSE_QONNX_SIM_NETLIST_AP_INT_H_
#define SPARSE_QONNX_SIM_NETLIST_AP_INT_H_

#include "operators.h"

// Integers that record; see wire.h.

template <int W>
class ap_int : public sparse_qonnx::netlist::number<W, W, true> {
    typedef sparse_qonnx::netlist::number<W, W, true> base;

  public:
    ap_int() {}
    template <class T>
    ap_int(const T value) : base(value) {}
};

template <int W>
class ap_uint : public sparse_qonnx::netlist::number<W, W, false> {
    typedef sparse_qonnx::netlist::number<W, W, false> base;

  public:
    ap_uint() {}
    template <class T>
    ap_uint(const T value) : base(value) {}
};

#endif  // SPARSE_QONNX_SIM_NETLIST_AP_INT_H_
