#ifndef SPARSE_QONNX_SIM_NETLIST_WIRE_H_
#define SPARSE_QONNX_SIM_NETLIST_WIRE_H_

#include <cstdio>
#include <cstdlib>
#include <string>

// Numbers of the recorder hold no value but the interval of values that they can have and the node that makes them. All
// are integers: a number with a binary point counts steps. Where both ends of the interval are equal the number is a
// constant, no node makes it, and operations on constants record nothing.
namespace sparse_qonnx {
namespace netlist {

__extension__ typedef __int128 wide;

// Ends of intervals stay below 2^126, so that their sum is no overflow.
static const int max_bits = 126;

// What is being recorded, for messages.
struct place {
    const char* layer;
    const char* kernel;
    const char* loop;  // null outside of loops
};
inline place& here() {
    static place the_place = {"?", "?", nullptr};
    return the_place;
}

enum exit_code { CANNOT_RECORD = 3, TOO_LARGE = 4 };

[[noreturn]] inline void fail(const std::string& problem, const exit_code code = CANNOT_RECORD) {
    const std::string loop = here().loop == nullptr ? "" : std::string(", loop over ") + here().loop;
    std::fprintf(stderr, "layer %s, kernel %s%s: %s\n", here().layer, here().kernel, loop.c_str(), problem.c_str());
    std::exit(code);
}

inline std::string text(const wide x) {
    if (x < 0) return "-" + text(-x);
    return (x >= 10 ? text(x / 10) : std::string()) + static_cast<char>('0' + static_cast<int>(x % 10));
}

inline int length(wide magnitude) {
    int n = 0;
    for (; magnitude > 0; magnitude >>= 1) n++;
    return n;
}

inline wide power_of_two(const int exponent) { return wide(1) << exponent; }

inline wide checked(const wide x) {
    if (x >= power_of_two(max_bits) || x < -power_of_two(max_bits)) fail("a value of more than 126 bits");
    return x;
}
inline wide sum(const wide a, const wide b) { return checked(a + b); }
inline wide product(const wide a, const wide b) {
    if (length(a < 0 ? -a : a) + length(b < 0 ? -b : b) > max_bits) fail("a product of more than 126 bits");
    return a * b;
}
inline wide shifted(const wide x, const int left) {
    if (left < 0) return x >> (-left < max_bits ? -left : max_bits);
    if (x != 0 && length(x < 0 ? -x : x) + left > max_bits) fail("a shifted value of more than 126 bits");
    return x == 0 ? 0 : x * power_of_two(left);
}

// `x` in so many bits.
inline wide wrapped(const wide x, const int width, const bool is_signed) {
    if (width >= max_bits) return x;
    const wide low = x & (power_of_two(width) - 1);
    return is_signed && ((low >> (width - 1)) & 1) ? low - power_of_two(width) : low;
}

struct interval {
    wide lo, hi;
    interval(const wide low, const wide high) : lo(low), hi(high) {}
    bool holds(const interval& other) const { return lo <= other.lo && other.hi <= hi; }
};

inline interval join(const interval& a, const interval& b) {
    return interval(a.lo < b.lo ? a.lo : b.lo, a.hi > b.hi ? a.hi : b.hi);
}

inline interval type_range(const int width, const bool is_signed) {
    const int n = width < max_bits ? width : max_bits;
    return is_signed ? interval(-power_of_two(n - 1), power_of_two(n - 1) - 1) : interval(0, power_of_two(n) - 1);
}

// Bits of a number with a sign that holds the interval.
inline int signed_bits(const interval& x) {
    const int low = x.lo < 0 ? length(-x.lo - 1) : 0, high = x.hi < 0 ? 0 : length(x.hi);
    return 1 + (low > high ? low : high);
}

// An interval and who makes it.
struct wire : interval {
    static const int constant = -1, never_set = -2;
    int id;

    wire() : interval(0, 0), id(never_set) {}
    explicit wire(const wide value) : interval(value, value), id(constant) {}
    wire(const interval& range, const int node) : interval(range), id(node) {}

    bool is_constant() const { return id == constant; }
    bool is_set() const { return id != never_set; }
    bool is(const wide value) const { return is_constant() && lo == value; }
};

// A wire that is about to be used.
inline const wire& used(const wire& x) {
    if (!x.is_set()) fail("a value is used that was never set");
    return x;
}

}  // namespace netlist
}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_NETLIST_WIRE_H_
