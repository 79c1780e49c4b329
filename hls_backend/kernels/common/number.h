#ifndef SPARSE_QONNX_COMMON_NUMBER_H_
#define SPARSE_QONNX_COMMON_NUMBER_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace sparse_qonnx {

// What a number type is made of: `width` bits, `fraction` of them behind the binary point (negative: the step is above
// 1), and `raw_t`, the integer that holds the same bits.
template <class T>
struct number_traits;

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
struct number_traits<ap_fixed<W, I, Q, O, N> > {
    static const int width = W;
    static const int fraction = W - I;
    static const bool is_signed = true;
    typedef ap_int<W> raw_t;
};

template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
struct number_traits<ap_ufixed<W, I, Q, O, N> > {
    static const int width = W;
    static const int fraction = W - I;
    static const bool is_signed = false;
    typedef ap_uint<W> raw_t;
};

template <int W>
struct number_traits<ap_int<W> > {
    static const int width = W;
    static const int fraction = 0;
    static const bool is_signed = true;
    typedef ap_int<W> raw_t;
};

template <int W>
struct number_traits<ap_uint<W> > {
    static const int width = W;
    static const int fraction = 0;
    static const bool is_signed = false;
    typedef ap_uint<W> raw_t;
};

// The bits of a fixed-point number as an integer: value = raw * 2^-fraction. Wires only.
template <class T>
typename number_traits<T>::raw_t to_raw(const T& value) {
#pragma HLS INLINE
    typename number_traits<T>::raw_t raw;
    raw.range(number_traits<T>::width - 1, 0) = value.range(number_traits<T>::width - 1, 0);
    return raw;
}

// The fixed-point number whose bits are the low bits of `raw`. Wires only; the caller knows that the value fits.
template <class T, class raw_T>
T from_raw(const raw_T& raw) {
#pragma HLS INLINE
    const typename number_traits<T>::raw_t bits = raw;
    T value;
    value.range(number_traits<T>::width - 1, 0) = bits.range(number_traits<T>::width - 1, 0);
    return value;
}

// Bits that hold the unsigned integers 0 .. N.
template <unsigned long long N>
struct bits_for {
    static const int value = 1 + bits_for<(N >> 1)>::value;
};
template <>
struct bits_for<1> {
    static const int value = 1;
};
template <>
struct bits_for<0> {
    static const int value = 1;
};

template <int A, int B>
struct larger {
    static const int value = A > B ? A : B;
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_COMMON_NUMBER_H_
