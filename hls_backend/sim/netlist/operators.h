#ifndef SPARSE_QONNX_SIM_NETLIST_OPERATORS_H_
#define SPARSE_QONNX_SIM_NETLIST_OPERATORS_H_

#include "number.h"

// The operators of ap_int and ap_fixed on numbers of the recorder, with the widths that those have. Plain numbers come
// by value, as they do there: a static constant of a configuration has no address.
namespace sparse_qonnx {
namespace netlist {

constexpr int max_of(const int a, const int b) { return a > b ? a : b; }

// A result with that many bits before and behind the binary point.
template <int INTEGER, int FRACTION, bool S>
struct result {
    typedef number<INTEGER + FRACTION, INTEGER, S> type;
};

template <int W, int I, bool S>
wire aligned(const number<W, I, S>& x, const int fraction) {
    return shift_by(x.value(), fraction - (W - I));
}

#define SPARSE_QONNX_TWO_NUMBERS template <int W1, int I1, bool S1, int W2, int I2, bool S2>
#define SPARSE_QONNX_OPERANDS const number<W1, I1, S1>&a, const number<W2, I2, S2>&b

// Sums and bit operations: both operands on the finer grid.
#define SPARSE_QONNX_ON_COMMON_GRID(OPERATOR, FUNCTION, EXTRA, IS_SIGNED)                                          \
    SPARSE_QONNX_TWO_NUMBERS                                                                                       \
    typename result<max_of(I1 + (S2 && !S1), I2 + (S1 && !S2)) + EXTRA, max_of(W1 - I1, W2 - I2), IS_SIGNED>::type \
    operator OPERATOR(SPARSE_QONNX_OPERANDS) {                                                                     \
        typedef typename result<max_of(I1 + (S2 && !S1), I2 + (S1 && !S2)) + EXTRA, max_of(W1 - I1, W2 - I2),      \
                                IS_SIGNED>::type result_t;                                                         \
        return result_t(FUNCTION(aligned(a, result_t::fraction), aligned(b, result_t::fraction)));                 \
    }

SPARSE_QONNX_ON_COMMON_GRID(+, add, 1, (S1 || S2))
SPARSE_QONNX_ON_COMMON_GRID(-, subtract, 1, true)
SPARSE_QONNX_ON_COMMON_GRID(&, bitwise_and, 0, (S1 || S2))
SPARSE_QONNX_ON_COMMON_GRID(|, bitwise_or, 0, (S1 || S2))
SPARSE_QONNX_ON_COMMON_GRID(^, bitwise_xor, 0, (S1 || S2))

SPARSE_QONNX_TWO_NUMBERS
typename result<I1 + I2, W1 - I1 + W2 - I2, (S1 || S2)>::type operator*(SPARSE_QONNX_OPERANDS) {
    typedef typename result<I1 + I2, W1 - I1 + W2 - I2, (S1 || S2)>::type result_t;
    return result_t(multiply(a.value(), b.value()));
}

SPARSE_QONNX_TWO_NUMBERS
number<W1, I1, S1> operator/(SPARSE_QONNX_OPERANDS) {
    static_assert(W1 == I1 && W2 == I2, "netlist: only integers are divided");
    return number<W1, I1, S1>(divide(a.value(), b.value()));
}

SPARSE_QONNX_TWO_NUMBERS
number<W1, I1, S1> operator%(SPARSE_QONNX_OPERANDS) {
    static_assert(W1 == I1 && W2 == I2, "netlist: only integers have a remainder");
    return number<W1, I1, S1>(remainder(a.value(), b.value()));
}

inline bit operator!(const bit& x) { return bit(inverted(x.value())); }

// ---- comparisons ----------------------------------------------------------------------------------------------------

SPARSE_QONNX_TWO_NUMBERS bit operator<(SPARSE_QONNX_OPERANDS) {
    const int fraction = max_of(W1 - I1, W2 - I2);
    return bit(less(aligned(a, fraction), aligned(b, fraction)));
}
SPARSE_QONNX_TWO_NUMBERS bit operator==(SPARSE_QONNX_OPERANDS) {
    const int fraction = max_of(W1 - I1, W2 - I2);
    return bit(equal(aligned(a, fraction), aligned(b, fraction)));
}
SPARSE_QONNX_TWO_NUMBERS bit operator>(SPARSE_QONNX_OPERANDS) { return b < a; }
SPARSE_QONNX_TWO_NUMBERS bit operator<=(SPARSE_QONNX_OPERANDS) { return !(b < a); }
SPARSE_QONNX_TWO_NUMBERS bit operator>=(SPARSE_QONNX_OPERANDS) { return !(a < b); }
SPARSE_QONNX_TWO_NUMBERS bit operator!=(SPARSE_QONNX_OPERANDS) { return !(a == b); }

// ---- with plain numbers on one side ---------------------------------------------------------------------------------

template <class T>
struct if_plain
    : std::enable_if<plain<T>::is_plain, typename std::conditional<plain<T>::is_plain, plain<T>, plain<int> >::type> {};

// C++ makes a negative number a large one beside an unsigned literal, and so do some of Xilinx's operators.
template <class T>
void beside_plain(const wire& x) {
    if (std::is_unsigned<T>::value && !std::is_same<T, bool>::value && x.lo < 0) {
        fail("a number that can be negative beside an unsigned one; write int(..)");
    }
}

#define SPARSE_QONNX_WITH_PLAIN(OPERATOR, BESIDE)                       \
    template <int W, int I, bool S, class T>                            \
    auto operator OPERATOR(const number<W, I, S>& a, const T b)         \
        ->decltype(a OPERATOR typename if_plain<T>::type::number_t()) { \
        BESIDE(a.value());                                              \
        return a OPERATOR typename if_plain<T>::type::number_t(b);      \
    }                                                                   \
    template <int W, int I, bool S, class T>                            \
    auto operator OPERATOR(const T a, const number<W, I, S>& b)         \
        ->decltype(typename if_plain<T>::type::number_t() OPERATOR b) { \
        BESIDE(b.value());                                              \
        return typename if_plain<T>::type::number_t(a) OPERATOR b;      \
    }

SPARSE_QONNX_WITH_PLAIN(+, used)
SPARSE_QONNX_WITH_PLAIN(-, used)
SPARSE_QONNX_WITH_PLAIN(*, used)
SPARSE_QONNX_WITH_PLAIN(&, used)
SPARSE_QONNX_WITH_PLAIN(|, used)
SPARSE_QONNX_WITH_PLAIN(^, used)
SPARSE_QONNX_WITH_PLAIN(/, beside_plain<T>)
SPARSE_QONNX_WITH_PLAIN(%, beside_plain<T>)
SPARSE_QONNX_WITH_PLAIN(<, beside_plain<T>)
SPARSE_QONNX_WITH_PLAIN(>, beside_plain<T>)
SPARSE_QONNX_WITH_PLAIN(<=, beside_plain<T>)
SPARSE_QONNX_WITH_PLAIN(>=, beside_plain<T>)
SPARSE_QONNX_WITH_PLAIN(==, beside_plain<T>)
SPARSE_QONNX_WITH_PLAIN(!=, beside_plain<T>)

// ---- shifts, signs, assignment --------------------------------------------------------------------------------------

template <int W, int I, bool S, class T>
number<W, I, S> operator<<(const number<W, I, S>& x, const T distance) {
    return number<W, I, S>(shift(x.value(), value_of(distance), true, W, S));
}

template <int W, int I, bool S, class T>
number<W, I, S> operator>>(const number<W, I, S>& x, const T distance) {
    return number<W, I, S>(shift(x.value(), value_of(distance), false, W, S));
}

template <int W, int I, bool S>
typename result<I + 1, W - I, true>::type operator-(const number<W, I, S>& x) {
    return typename result<I + 1, W - I, true>::type(subtract(wire(0), x.value()));
}

template <int W, int I, bool S>
number<W, I, S> operator~(const number<W, I, S>& x) {
    return number<W, I, S>(complement(x.value()));
}

template <int W, int I, bool S>
bit operator!(const number<W, I, S>& x) {
    return x == 0;
}

#define SPARSE_QONNX_ASSIGNING(OPERATOR)                                          \
    template <int W, int I, bool S, class T>                                      \
    number<W, I, S>& operator OPERATOR## = (number<W, I, S> & x, const T other) { \
        return x = number<W, I, S>(x OPERATOR other);                             \
    }

SPARSE_QONNX_ASSIGNING(+)
SPARSE_QONNX_ASSIGNING(-)
SPARSE_QONNX_ASSIGNING(*)
SPARSE_QONNX_ASSIGNING(&)
SPARSE_QONNX_ASSIGNING(|)
SPARSE_QONNX_ASSIGNING(^)
SPARSE_QONNX_ASSIGNING(<<)
SPARSE_QONNX_ASSIGNING(>>)

template <int W, int I, bool S>
void operator++(number<W, I, S>& x, int) {
    x += 1;
}

// ---- bits -----------------------------------------------------------------------------------------------------------

template <class A, class B>
struct if_bits
    : std::enable_if<(std::is_same<A, bit>::value && (std::is_same<B, bit>::value || std::is_same<B, bool>::value)) ||
                         (std::is_same<A, bool>::value && std::is_same<B, bit>::value),
                     bit> {};

#define SPARSE_QONNX_ON_BITS(OPERATOR, FUNCTION)                             \
    template <class A, class B>                                              \
    typename if_bits<A, B>::type operator OPERATOR(const A& a, const B& b) { \
        return bit(FUNCTION(bit(a).value(), bit(b).value()));                \
    }

SPARSE_QONNX_ON_BITS(&&, both)
SPARSE_QONNX_ON_BITS(||, either)
SPARSE_QONNX_ON_BITS(&, both)
SPARSE_QONNX_ON_BITS(|, either)
SPARSE_QONNX_ON_BITS(^, differ)
SPARSE_QONNX_ON_BITS(!=, differ)

template <class A, class B>
typename if_bits<A, B>::type operator==(const A& a, const B& b) {
    return bit(inverted(differ(bit(a).value(), bit(b).value())));
}

}  // namespace netlist
}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_NETLIST_OPERATORS_H_
