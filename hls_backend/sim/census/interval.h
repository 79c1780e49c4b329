#ifndef SPARSE_QONNX_SIM_CENSUS_INTERVAL_H_
#define SPARSE_QONNX_SIM_CENSUS_INTERVAL_H_

#include "counts.h"

// Numbers of the census hold no value but the interval of values they can have. Where both ends are equal the number is
// a constant, and operations on constants cost nothing; any other is a bundle of wires, as wide as its interval needs.
namespace sparse_qonnx {
namespace census {

__extension__ typedef __int128 wide;

static const int max_width = 120;

struct interval {
    wide lo, hi;
    interval() : lo(0), hi(0) {}
    interval(const wide low, const wide high) : lo(low), hi(high) {}
    bool is_constant() const { return lo == hi; }
    bool is(const wide value) const { return lo == value && hi == value; }
    bool holds(const interval& other) const { return lo <= other.lo && other.hi <= hi; }
};

inline int length(wide magnitude) {
    int n = 0;
    for (; magnitude > 0; magnitude >>= 1) n++;
    return n;
}

// Wires of a number: of its magnitude, and one for the sign where it has one.
inline int bits(const interval& x) {
    const wide low = x.lo < 0 ? -x.lo - 1 : 0, high = x.hi < 0 ? 0 : x.hi;
    return length(low > high ? low : high) + (x.lo < 0 ? 1 : 0);
}

inline interval join(const interval& a, const interval& b) {
    return interval(a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi);
}

inline interval type_range(const int width, const bool is_signed) {
    const wide one = 1;
    return is_signed ? interval(-(one << (width - 1)), (one << (width - 1)) - 1) : interval(0, (one << width) - 1);
}

inline bool is_power_of_two(const wide x) { return x > 0 && (x & (x - 1)) == 0; }

inline wide shifted(const wide x, const int left) { return left >= 0 ? x * (wide(1) << left) : x >> -left; }

inline interval shifted(const interval& x, const int left) {
    return interval(shifted(x.lo, left), shifted(x.hi, left));
}

// The value of a constant in `width` bits.
inline wide wrapped(const wide x, const int width, const bool is_signed) {
    const wide low = x & ((wide(1) << width) - 1);
    return is_signed && ((low >> (width - 1)) & 1) ? low - (wide(1) << width) : low;
}

// ---- what an operation costs ----------------------------------------------------------------------------------------

inline interval add(const interval& a, const interval& b) {
    const interval sum(a.lo + b.lo, a.hi + b.hi);
    if (!a.is(0) && !b.is(0) && !sum.is_constant()) count(kind::ADD, bits(sum), 1);
    return sum;
}

inline interval subtract(const interval& a, const interval& b) {
    const interval difference(a.lo - b.hi, a.hi - b.lo);
    if (!b.is(0) && !difference.is_constant()) count(kind::ADD, bits(difference), 1);
    return difference;
}

inline interval corners(const interval& a, const interval& b) {
    const wide products[] = {a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi};
    interval result(products[0], products[0]);
    for (int i = 1; i < 4; i++) result = join(result, interval(products[i], products[i]));
    return result;
}

// Wires where the constant is 0 or a power of two; of any other, the bits between its first and last one.
inline void count_times_constant(const interval& x, const wide constant) {
    wide magnitude = constant < 0 ? -constant : constant;
    if (magnitude == 0) return;
    if (is_power_of_two(magnitude)) {
        if (constant < 0) count(kind::ADD, bits(x) + 1, 1);
        return;
    }
    while ((magnitude & 1) == 0) magnitude >>= 1;
    count(kind::MULTIPLY_CONSTANT, bits(x), length(magnitude));
}

inline interval multiply(const interval& a, const interval& b) {
    const interval product = corners(a, b);
    if (a.is_constant() || b.is_constant()) {
        if (!a.is_constant()) count_times_constant(a, b.lo);
        if (!b.is_constant()) count_times_constant(b, a.lo);
    } else if (bits(a) == 1 || bits(b) == 1) {
        count(kind::SELECT, bits(a) == 1 ? bits(b) : bits(a), 1);  // one bit: gates
    } else {
        count(kind::MULTIPLY, bits(a), bits(b));
    }
    return product;
}

// Rounds to 0 as C++ does, and as ap_int does.
inline interval divide(const interval& x, const interval& by) {
    if (!by.is_constant() || by.lo <= 0) fail("a division by something else than a positive constant");
    const interval quotient(x.lo / by.lo, x.hi / by.lo);
    if (x.is_constant()) return quotient;
    if (!is_power_of_two(by.lo)) {
        count(kind::MULTIPLY_CONSTANT, bits(x), bits(x) + 1);  // its reciprocal, precise enough for every x
    } else if (x.lo < 0 && by.lo > 1) {
        count(kind::ADD, bits(x), 1);
    }
    return quotient;
}

inline interval remainder(const interval& x, const interval& by) {
    if (!by.is_constant() || by.lo <= 0) fail("a remainder of something else than a positive constant");
    if (x.is_constant()) return interval(x.lo % by.lo, x.lo % by.lo);
    if (x.lo >= 0 && x.hi < by.lo) return x;
    const interval whole = divide(x, by);
    if (!is_power_of_two(by.lo) || x.lo < 0) {
        count_times_constant(whole, by.lo);
        count(kind::ADD, bits(x), 1);
    }
    return interval(x.lo < 0 ? 1 - by.lo : 0, by.lo - 1);
}

}  // namespace census
}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_CENSUS_INTERVAL_H_
