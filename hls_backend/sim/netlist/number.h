#ifndef SPARSE_QONNX_SIM_NETLIST_NUMBER_H_
#define SPARSE_QONNX_SIM_NETLIST_NUMBER_H_

#include <cmath>
#include <type_traits>

#include "nodes.h"

enum ap_q_mode { AP_RND, AP_RND_ZERO, AP_RND_MIN_INF, AP_RND_INF, AP_RND_CONV, AP_TRN, AP_TRN_ZERO };
enum ap_o_mode { AP_SAT, AP_SAT_ZERO, AP_SAT_SYM, AP_WRAP, AP_WRAP_SM };

namespace sparse_qonnx {
namespace netlist {

// Truth that may depend on data. As a condition of `if` it has to be a constant.
class bit {
  public:
    static const int width = 1;
    static const bool is_signed = false;
    bit() {}
    bit(const bool value) : value_(wire(value)) {}
    explicit bit(const wire& value) : value_(value) {}
    const wire& value() const { return used(value_); }
    wire& state() { return value_; }
    explicit operator bool() const {
        if (!value().is_constant()) fail("a branch on data; write select()");
        return value().lo != 0;
    }

  private:
    wire value_;
};

// `number` to and from the bits HIGH .. LOW of another one.
template <class owner_T>
class bit_range {
  public:
    bit_range(owner_T* owner, const int high, const int low) : owner_(owner), high_(high), low_(low) {}
    // All of the bits are wires again, with or without a sign; a part of them is unsigned.
    wire value() const {
        if (low_ == 0 && high_ == owner_T::width - 1) return owner_->value();
        return slice(owner_->value(), low_, high_ - low_ + 1);
    }
    template <class source_T>
    void operator=(const bit_range<source_T>& source) {
        assign(source.value());
    }
    void operator=(const bit_range& source) { assign(source.value()); }

  private:
    void assign(const wire& given) {
        if (low_ != 0 || high_ != owner_T::width - 1) fail("a part of a number is written");
        owner_->set(given);
    }
    owner_T* owner_;
    int high_, low_;
};

template <int W, int I, bool S>
class number;

// Plain C++ numbers and bits as numbers of the recorder.
template <class T, class enable_T = void>
struct plain {
    static const bool is_plain = false;
};
template <class T>
struct plain<T, typename std::enable_if<std::is_integral<T>::value || std::is_enum<T>::value>::type> {
    static const bool is_plain = true;
    typedef number<66, 66, true> number_t;
    static wire value(const T given) { return wire(static_cast<wide>(given)); }
};
template <>
struct plain<bit> {
    static const bool is_plain = true;
    typedef number<2, 2, true> number_t;
    static wire value(const bit& given) { return given.value(); }
};

// By value here and wherever a plain number can stand: static members of a configuration have no address.
template <class T>
typename std::enable_if<plain<T>::is_plain, wire>::type value_of(const T given) {
    return plain<T>::value(given);
}
template <int W, int I, bool S>
const wire& value_of(const number<W, I, S>& given) {
    return given.value();
}

struct any_number {};

// W bits, I of them before the binary point, as ap_fixed and ap_int have them; counted in steps of 2^-(W - I).
template <int W, int I, bool S>
class number : public any_number {
    static_assert(W >= 1, "netlist: a number has at least one bit");

  public:
    static const int width = W;
    static const int iwidth = I;
    static const int fraction = W - I;
    static const bool is_signed = S;

    number() {}
    explicit number(const wire& steps) { set(steps); }
    template <int W2, int I2, bool S2>
    number(const number<W2, I2, S2>& other) {
        if (other.is_set()) set(shift_by(other.value(), fraction - (W2 - I2)));
    }
    template <class owner_T>
    number(const bit_range<owner_T>& other) {
        set(other.value());
    }
    template <class T>
    number(const T value, typename std::enable_if<plain<T>::is_plain>::type* = nullptr) {
        set(shift_by(plain<T>::value(value), fraction));
    }
    number(const double value) {
        set(wire(static_cast<wide>(std::floor(std::ldexp(static_cast<long double>(value), fraction)))));
    }
    number(const float value) : number(static_cast<double>(value)) {}

    bool is_set() const { return value_.is_set(); }
    const wire& value() const { return used(value_); }
    wire& state() { return value_; }
    // Values outside of the type wrap.
    void set(const wire& steps) { value_ = steps.is_constant() ? wire(wrapped(steps.lo, W, S)) : wrap(steps, W, S); }

    bit_range<number> range(const int high, const int low) { return bit_range<number>(this, high, low); }
    bit_range<const number> range(const int high, const int low) const {
        return bit_range<const number>(this, high, low);
    }
    bit operator[](const int at) const { return bit(slice(value(), at, 1)); }

    template <class T, class = typename std::enable_if<std::is_arithmetic<T>::value>::type>
    explicit operator T() const {
        return static_cast<T>(constant() * std::ldexp(1.0L, -fraction));
    }
    explicit operator bit() const { return bit(inverted(equal(value(), wire(0)))); }
    double to_double() const { return static_cast<double>(*this); }
    int to_int() const { return static_cast<int>(*this); }
    unsigned to_uint() const { return static_cast<unsigned>(*this); }
    long long to_int64() const { return static_cast<long long>(constant()); }

  private:
    long double constant() const {
        if (!value().is_constant()) fail("an index or number that depends on data; write pick(), put() or select()");
        return static_cast<long double>(value_.lo);
    }
    wire value_;
};

}  // namespace netlist
}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_NETLIST_NUMBER_H_
