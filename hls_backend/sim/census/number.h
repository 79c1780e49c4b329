#ifndef SPARSE_QONNX_SIM_CENSUS_NUMBER_H_
#define SPARSE_QONNX_SIM_CENSUS_NUMBER_H_

#include <cmath>
#include <type_traits>

#include "interval.h"

enum ap_q_mode { AP_RND, AP_RND_ZERO, AP_RND_MIN_INF, AP_RND_INF, AP_RND_CONV, AP_TRN, AP_TRN_ZERO };
enum ap_o_mode { AP_SAT, AP_SAT_ZERO, AP_SAT_SYM, AP_WRAP, AP_WRAP_SM };

namespace sparse_qonnx {
namespace census {

// Truth that may depend on data. As a condition of `if` it has to be a constant.
class bit {
  public:
    static const int width = 1;
    bit() : range_(0, 0) {}
    bit(const bool value) : range_(value, value) {}
    explicit bit(const interval& range) : range_(range) {}
    const interval& range() const { return range_; }
    explicit operator bool() const {
        if (!range_.is_constant()) fail("a branch on data; write select()");
        return range_.lo != 0;
    }

  private:
    interval range_;
};

// `number` to and from the bits HIGH .. LOW of another one.
template <class owner_T>
class bit_range {
  public:
    bit_range(owner_T* owner, const int high, const int low) : owner_(owner), high_(high), low_(low) {}
    bool is_whole() const { return low_ == 0 && high_ == owner_T::width - 1; }
    // All of the bits are wires again, with or without a sign; a part of them is unsigned.
    interval range() const {
        const interval& all = owner_->range();
        if (is_whole()) return all;
        const int n = high_ - low_ + 1;
        if (all.is_constant()) {
            const wide part = wrapped(all.lo >> low_, n, false);
            return interval(part, part);
        }
        if (all.lo >= 0 && (all.hi >> low_) < (wide(1) << n)) return interval(all.lo >> low_, all.hi >> low_);
        return type_range(n, false);
    }
    template <class source_T>
    void operator=(const bit_range<source_T>& source) {
        assign(source.range());
    }
    void operator=(const bit_range& source) { assign(source.range()); }
    template <class T>
    void operator=(const T& source) {
        assign(range_of(source));
    }

  private:
    void assign(const interval& given) {
        const int n = high_ - low_ + 1;
        if (is_whole()) {
            owner_->set(given);
        } else if (given.is_constant() && owner_->range().is_constant()) {
            const wide mask = ((wide(1) << n) - 1) << low_;
            const wide all = (owner_->range().lo & ~mask) | (wrapped(given.lo, n, false) << low_);
            owner_->set(interval(all, all));
        } else {
            owner_->set_any();
        }
    }
    owner_T* owner_;
    int high_, low_;
};

template <int W, int I, bool S, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP>
class number;

// Plain C++ numbers and bits as numbers of the census.
template <class T, class enable_T = void>
struct plain {
    static const bool is_plain = false;
};
template <class T>
struct plain<T, typename std::enable_if<std::is_integral<T>::value || std::is_enum<T>::value>::type> {
    static const bool is_plain = true;
    typedef number<66, 66, true> number_t;
    static interval range(const T value) { return interval(wide(value), wide(value)); }
};
template <>
struct plain<bit> {
    static const bool is_plain = true;
    typedef number<2, 2, true> number_t;
    static interval range(const bit& value) { return value.range(); }
};

// By value here and wherever a plain number can stand: static members of a configuration have no address.
template <class T>
typename std::enable_if<plain<T>::is_plain, interval>::type range_of(const T value) {
    return plain<T>::range(value);
}
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O>
const interval& range_of(const number<W, I, S, Q, O>& value) {
    return value.range();
}

// W bits, I of them before the binary point, as ap_fixed and ap_int have them; the interval in steps of 2^-(W - I).
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O>
class number {
    static_assert(W >= 1 && W <= max_width, "census: a number has 1 to 120 bits; wider words are arrays");

  public:
    static const int width = W;
    static const int iwidth = I;
    static const int fraction = W - I;

    number() {}
    explicit number(const interval& range) { set(range); }
    template <int W2, int I2, bool S2, ap_q_mode Q2, ap_o_mode O2>
    number(const number<W2, I2, S2, Q2, O2>& other) {
        convert(other.range(), W2 - I2);
    }
    template <class owner_T>
    number(const bit_range<owner_T>& other) {
        set(other.range());
    }
    template <class T>
    number(const T value, typename std::enable_if<plain<T>::is_plain>::type* = nullptr) {
        convert(plain<T>::range(value), 0);
    }
    number(const double value) {
        const wide steps = static_cast<wide>(std::floor(std::ldexp(static_cast<long double>(value), fraction)));
        set(interval(steps, steps));
    }
    number(const float value) : number(static_cast<double>(value)) {}

    const interval& range() const { return range_; }

    // Values outside the type wrap: a constant to another constant, wires to all that the type holds.
    void set(const interval& given) {
        const interval all = type_range(W, S);
        range_ = all.holds(given)      ? given
                 : given.is_constant() ? interval(wrapped(given.lo, W, S), wrapped(given.lo, W, S))
                                       : all;
    }
    void set_any() { range_ = type_range(W, S); }
    void widen(const interval& other) { set(join(range_, other)); }

    bit_range<number> range(const int high, const int low) { return bit_range<number>(this, high, low); }
    bit_range<const number> range(const int high, const int low) const {
        return bit_range<const number>(this, high, low);
    }
    bit operator[](const int at) const {
        return bit(range_.is_constant() ? interval((range_.lo >> at) & 1, (range_.lo >> at) & 1) : interval(0, 1));
    }
    bit_range<number> operator[](const int at) { return range(at, at); }

    template <class T, class = typename std::enable_if<std::is_arithmetic<T>::value>::type>
    explicit operator T() const {
        return static_cast<T>(constant() * std::ldexp(1.0L, -fraction));
    }
    explicit operator bit() const {
        return bit(range_.is_constant() ? interval(range_.lo != 0, range_.lo != 0) : interval(0, 1));
    }
    double to_double() const { return static_cast<double>(*this); }
    int to_int() const { return static_cast<int>(*this); }
    unsigned to_uint() const { return static_cast<unsigned>(*this); }
    long long to_int64() const { return static_cast<long long>(constant()); }

  private:
    long double constant() const {
        if (!range_.is_constant()) fail("an index or number that depends on data; write pick(), put() or select()");
        return static_cast<long double>(range_.lo);
    }
    void convert(const interval& given, const int given_fraction) {
        const int left = fraction - given_fraction;
        interval moved = shifted(given, left);
        if (left < 0 && Q != AP_TRN && !given.is_constant()) {
            moved.hi++;
            count(kind::ADD, bits(moved), 1);
        }
        if (O != AP_WRAP && !type_range(W, S).holds(moved) && !given.is_constant()) {
            count(kind::COMPARE, bits(moved), 1, 2);
            count(kind::SELECT, W, 1, 1);
        }
        set(moved);
    }
    interval range_;
};

}  // namespace census
}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_CENSUS_NUMBER_H_
