#ifndef SPARSE_QONNX_SIM_CENSUS_AP_FIXED_H_
#define SPARSE_QONNX_SIM_CENSUS_AP_FIXED_H_

#include "ap_int.h"

// Fixed-point numbers that count; see interval.h.

template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
class ap_fixed : public sparse_qonnx::census::number<W, I, true, Q, O> {
    typedef sparse_qonnx::census::number<W, I, true, Q, O> base;

  public:
    ap_fixed() {}
    template <class T>
    ap_fixed(const T value) : base(value) {}
};

template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
class ap_ufixed : public sparse_qonnx::census::number<W, I, false, Q, O> {
    typedef sparse_qonnx::census::number<W, I, false, Q, O> base;

  public:
    ap_ufixed() {}
    template <class T>
    ap_ufixed(const T value) : base(value) {}
};

#endif  // SPARSE_QONNX_SIM_CENSUS_AP_FIXED_H_
