#ifndef SPARSE_QONNX_SIM_CENSUS_OPERATORS_H_
#define SPARSE_QONNX_SIM_CENSUS_OPERATORS_H_

#include "number.h"

// The operators of ap_int and ap_fixed on numbers of the census, with the widths that those have. Plain numbers come by
// value, as they do there: a static constant of a configuration has no address.
namespace sparse_qonnx {
namespace census {

constexpr int at_most(const int width) { return width < max_width ? width : max_width; }
constexpr int max_of(const int a, const int b) { return a > b ? a : b; }

// A result with that many bits before and behind the binary point.
template <int INTEGER, int FRACTION, bool S>
struct result {
    typedef number<at_most(INTEGER + FRACTION), at_most(INTEGER + FRACTION) - FRACTION, S> type;
};

template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O>
interval aligned(const number<W, I, S, Q, O>& x, const int fraction) {
    return shifted(x.range(), fraction - (W - I));
}

#define SPARSE_QONNX_TWO_NUMBERS \
    template <int W1, int I1, bool S1, ap_q_mode Q1, ap_o_mode O1, int W2, int I2, bool S2, ap_q_mode Q2, ap_o_mode O2>
#define SPARSE_QONNX_OPERANDS const number<W1, I1, S1, Q1, O1>&a, const number<W2, I2, S2, Q2, O2>&b

// Sums and bit operations: both operands on the finer grid.
#define SPARSE_QONNX_ON_COMMON_GRID(OPERATOR, FUNCTION, EXTRA, IS_SIGNED)                                          \
    SPARSE_QONNX_TWO_NUMBERS                                                                                       \
    typename result<max_of(I1 + (S2 && !S1), I2 + (S1 && !S2)) + EXTRA, max_of(W1 - I1, W2 - I2), IS_SIGNED>::type \
    operator OPERATOR(SPARSE_QONNX_OPERANDS) {                                                                     \
        typedef typename result<max_of(I1 + (S2 && !S1), I2 + (S1 && !S2)) + EXTRA, max_of(W1 - I1, W2 - I2),      \
                                IS_SIGNED>::type result_t;                                                         \
        return result_t(FUNCTION(aligned(a, result_t::fraction), aligned(b, result_t::fraction)));                 \
    }

// Gates; a constant only removes some of them.
template <class F>
interval gates(const interval& a, const interval& b, const F& apply) {
    if (a.is_constant() && b.is_constant()) return interval(apply(a.lo, b.lo), apply(a.lo, b.lo));
    const int n = bits(join(a, b));
    if (!a.is_constant() && !b.is_constant()) count(kind::LOGIC, n, 1);
    return type_range(n, a.lo < 0 || b.lo < 0);
}
inline wide and_of(const wide a, const wide b) { return a & b; }
inline wide or_of(const wide a, const wide b) { return a | b; }
inline wide xor_of(const wide a, const wide b) { return a ^ b; }

inline interval bitwise_and(const interval& a, const interval& b) {
    const interval all = gates(a, b, and_of);
    if (all.is_constant() || (a.lo < 0 && b.lo < 0)) return all;
    // Not above the one that has no sign.
    const wide top = a.lo < 0 ? b.hi : b.lo < 0 ? a.hi : (a.hi < b.hi ? a.hi : b.hi);
    return interval(0, top);
}
inline interval bitwise_or(const interval& a, const interval& b) { return gates(a, b, or_of); }
inline interval bitwise_xor(const interval& a, const interval& b) { return gates(a, b, xor_of); }

SPARSE_QONNX_ON_COMMON_GRID(+, add, 1, (S1 || S2))
SPARSE_QONNX_ON_COMMON_GRID(-, subtract, 1, true)
SPARSE_QONNX_ON_COMMON_GRID(&, bitwise_and, 0, (S1 || S2))
SPARSE_QONNX_ON_COMMON_GRID(|, bitwise_or, 0, (S1 || S2))
SPARSE_QONNX_ON_COMMON_GRID(^, bitwise_xor, 0, (S1 || S2))

SPARSE_QONNX_TWO_NUMBERS
typename result<I1 + I2, W1 - I1 + W2 - I2, (S1 || S2)>::type operator*(SPARSE_QONNX_OPERANDS) {
    typedef typename result<I1 + I2, W1 - I1 + W2 - I2, (S1 || S2)>::type result_t;
    return result_t(multiply(a.range(), b.range()));
}

SPARSE_QONNX_TWO_NUMBERS
number<W1, I1, S1> operator/(SPARSE_QONNX_OPERANDS) {
    static_assert(W1 == I1 && W2 == I2, "census: only integers are divided");
    return number<W1, I1, S1>(divide(a.range(), b.range()));
}

SPARSE_QONNX_TWO_NUMBERS
number<W1, I1, S1> operator%(SPARSE_QONNX_OPERANDS) {
    static_assert(W1 == I1 && W2 == I2, "census: only integers have a remainder");
    return number<W1, I1, S1>(remainder(a.range(), b.range()));
}

// ---- comparisons ----------------------------------------------------------------------------------------------------

enum class relation { LESS, EQUAL };

// a < b or a == b; a sign is read off a wire, what the intervals decide costs nothing.
inline bit compare(const interval& a, const interval& b, const relation what) {
    if (what == relation::EQUAL) {
        if (a.is_constant() && b.is_constant()) return bit(a.lo == b.lo);
        if (a.hi < b.lo || b.hi < a.lo) return bit(false);
    } else {
        if (a.hi < b.lo) return bit(true);
        if (a.lo >= b.hi) return bit(false);
    }
    const bool is_sign = what == relation::LESS && (b.is(0) || a.is(-1));
    const bool is_wire = bits(a) + bits(b) <= 1;
    if (!is_sign && !is_wire) count(kind::COMPARE, bits(a) > bits(b) ? bits(a) : bits(b), 1);
    return bit(interval(0, 1));
}

inline bit inverted(const bit& x) { return bit(interval(1 - x.range().hi, 1 - x.range().lo)); }

template <relation WHAT, class A, class B>
bit compare_numbers(const A& a, const B& b) {
    const int fraction = max_of(A::fraction, B::fraction);
    return compare(aligned(a, fraction), aligned(b, fraction), WHAT);
}

SPARSE_QONNX_TWO_NUMBERS bit operator<(SPARSE_QONNX_OPERANDS) { return compare_numbers<relation::LESS>(a, b); }
SPARSE_QONNX_TWO_NUMBERS bit operator>(SPARSE_QONNX_OPERANDS) { return compare_numbers<relation::LESS>(b, a); }
SPARSE_QONNX_TWO_NUMBERS bit operator<=(SPARSE_QONNX_OPERANDS) { return inverted(b < a); }
SPARSE_QONNX_TWO_NUMBERS bit operator>=(SPARSE_QONNX_OPERANDS) { return inverted(a < b); }
SPARSE_QONNX_TWO_NUMBERS bit operator==(SPARSE_QONNX_OPERANDS) { return compare_numbers<relation::EQUAL>(a, b); }
SPARSE_QONNX_TWO_NUMBERS bit operator!=(SPARSE_QONNX_OPERANDS) { return inverted(a == b); }

// ---- with plain numbers on one side ---------------------------------------------------------------------------------

template <class T>
struct if_plain
    : std::enable_if<plain<T>::is_plain, typename std::conditional<plain<T>::is_plain, plain<T>, plain<int> >::type> {};

#define SPARSE_QONNX_WITH_PLAIN(OPERATOR)                               \
    template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, class T>  \
    auto operator OPERATOR(const number<W, I, S, Q, O>& a, const T b)   \
        ->decltype(a OPERATOR typename if_plain<T>::type::number_t()) { \
        return a OPERATOR typename if_plain<T>::type::number_t(b);      \
    }                                                                   \
    template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, class T>  \
    auto operator OPERATOR(const T a, const number<W, I, S, Q, O>& b)   \
        ->decltype(typename if_plain<T>::type::number_t() OPERATOR b) { \
        return typename if_plain<T>::type::number_t(a) OPERATOR b;      \
    }

SPARSE_QONNX_WITH_PLAIN(+)
SPARSE_QONNX_WITH_PLAIN(-)
SPARSE_QONNX_WITH_PLAIN(*)
SPARSE_QONNX_WITH_PLAIN(/)
SPARSE_QONNX_WITH_PLAIN(%)
SPARSE_QONNX_WITH_PLAIN(&)
SPARSE_QONNX_WITH_PLAIN(|)
SPARSE_QONNX_WITH_PLAIN(^)
SPARSE_QONNX_WITH_PLAIN(<)
SPARSE_QONNX_WITH_PLAIN(>)
SPARSE_QONNX_WITH_PLAIN(<=)
SPARSE_QONNX_WITH_PLAIN(>=)
SPARSE_QONNX_WITH_PLAIN(==)
SPARSE_QONNX_WITH_PLAIN(!=)

// ---- shifts, signs, assignment --------------------------------------------------------------------------------------

// By a constant: wires. By wires: one level of two-way selectors for each bit of the distance.
template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O>
number<W, I, S> shift(const number<W, I, S, Q, O>& x, const interval& left, const bool is_variable) {
    number<W, I, S> moved;
    if (left.hi + bits(x.range()) > max_width) {
        moved.set_any();
    } else {
        const int least = static_cast<int>(left.lo < -max_width ? -max_width : left.lo);
        moved.set(join(shifted(x.range(), least), shifted(x.range(), static_cast<int>(left.hi))));
    }
    if (is_variable) count(kind::SELECT, bits(moved.range()), 1, 2 * bits(interval(0, left.hi - left.lo)));
    return moved;
}

#define SPARSE_QONNX_SHIFT(OPERATOR, SIGN)                                                \
    template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, class T>                    \
    number<W, I, S> operator OPERATOR(const number<W, I, S, Q, O>& x, const T distance) { \
        const interval n = range_of(distance);                                            \
        return shift(x, SIGN > 0 ? n : interval(-n.hi, -n.lo), !n.is_constant());         \
    }

SPARSE_QONNX_SHIFT(<<, 1)
SPARSE_QONNX_SHIFT(>>, -1)

template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O>
typename result<I + 1, W - I, true>::type operator-(const number<W, I, S, Q, O>& x) {
    return typename result<I + 1, W - I, true>::type(subtract(interval(0, 0), x.range()));
}

template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O>
number<W, I, S> operator~(const number<W, I, S, Q, O>& x) {
    if (!x.range().is_constant()) count(kind::LOGIC, bits(x.range()), 1);
    const wide offset = S ? 0 : wide(1) << W;  // without a sign ~x is 2^W - 1 - x
    return number<W, I, S>(interval(offset - 1 - x.range().hi, offset - 1 - x.range().lo));
}

template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O>
bit operator!(const number<W, I, S, Q, O>& x) {
    return x == 0;
}

#define SPARSE_QONNX_ASSIGNING(OPERATOR)                                                      \
    template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O, class T>                        \
    number<W, I, S, Q, O>& operator OPERATOR## = (number<W, I, S, Q, O> & x, const T other) { \
        return x = number<W, I, S, Q, O>(x OPERATOR other);                                   \
    }

SPARSE_QONNX_ASSIGNING(+)
SPARSE_QONNX_ASSIGNING(-)
SPARSE_QONNX_ASSIGNING(*)
SPARSE_QONNX_ASSIGNING(&)
SPARSE_QONNX_ASSIGNING(|)
SPARSE_QONNX_ASSIGNING(^)
SPARSE_QONNX_ASSIGNING(<<)
SPARSE_QONNX_ASSIGNING(>>)

template <int W, int I, bool S, ap_q_mode Q, ap_o_mode O>
void operator++(number<W, I, S, Q, O>& x, int) {
    x += 1;
}

// ---- bits -----------------------------------------------------------------------------------------------------------

template <class A, class B>
struct if_bits
    : std::enable_if<(std::is_same<A, bit>::value && (std::is_same<B, bit>::value || std::is_same<B, bool>::value)) ||
                         (std::is_same<A, bool>::value && std::is_same<B, bit>::value),
                     bit> {};

inline bit both(const bit& a, const bit& b) {
    if (a.range().is(0) || b.range().is(0)) return bit(false);
    if (a.range().is(1)) return b;
    if (!b.range().is(1)) count(kind::LOGIC, 1, 1);
    return a;
}
inline bit either(const bit& a, const bit& b) { return inverted(both(inverted(a), inverted(b))); }
inline bit differ(const bit& a, const bit& b) {
    if (a.range().is_constant()) return a.range().lo ? inverted(b) : b;
    if (b.range().is_constant()) return b.range().lo ? inverted(a) : a;
    count(kind::LOGIC, 1, 1);
    return a;
}

inline bit operator!(const bit& x) { return inverted(x); }

#define SPARSE_QONNX_ON_BITS(OPERATOR, FUNCTION)                             \
    template <class A, class B>                                              \
    typename if_bits<A, B>::type operator OPERATOR(const A& a, const B& b) { \
        return FUNCTION(a, b);                                               \
    }

SPARSE_QONNX_ON_BITS(&&, both)
SPARSE_QONNX_ON_BITS(||, either)
SPARSE_QONNX_ON_BITS(&, both)
SPARSE_QONNX_ON_BITS(|, either)
SPARSE_QONNX_ON_BITS(^, differ)
SPARSE_QONNX_ON_BITS(!=, differ)

template <class A, class B>
typename if_bits<A, B>::type operator==(const A& a, const B& b) {
    return inverted(differ(a, b));
}

}  // namespace census
}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_CENSUS_OPERATORS_H_
