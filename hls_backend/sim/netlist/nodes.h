#ifndef SPARSE_QONNX_SIM_NETLIST_NODES_H_
#define SPARSE_QONNX_SIM_NETLIST_NODES_H_

#include "recording.h"

// Operations on wires: the node, its exact interval, and what constants make of it.
namespace sparse_qonnx {
namespace netlist {

static const interval truth(0, 1);

// ---- sums and products ----------------------------------------------------------------------------------------------

inline wire add(const wire& a, const wire& b) {
    if (used(a).is(0)) return b;
    if (used(b).is(0)) return a;
    return node(op::ADD, interval(sum(a.lo, b.lo), sum(a.hi, b.hi)), {a, b});
}

inline wire subtract(const wire& a, const wire& b) {
    if (used(b).is(0)) return a;
    return node(op::SUB, interval(sum(used(a).lo, -b.hi), sum(a.hi, -b.lo)), {a, b});
}

inline wire multiply(const wire& a, const wire& b) {
    if (used(a).is(1)) return b;
    if (used(b).is(1)) return a;
    const wide corners[] = {product(a.lo, b.lo), product(a.lo, b.hi), product(a.hi, b.lo), product(a.hi, b.hi)};
    interval range(corners[0], corners[0]);
    for (const wide x : corners) range = join(range, interval(x, x));
    return node(op::MUL, range, {a, b});
}

// Rounds to 0, as C++ and ap_int do.
inline wire divide(const wire& x, const wire& by) {
    if (!by.is_constant() || by.lo <= 0) fail("a division by something else than a positive constant");
    if (by.is(1)) return x;
    return node(op::DIV, interval(used(x).lo / by.lo, x.hi / by.lo), {x}, static_cast<long long>(by.lo));
}

inline wire remainder(const wire& x, const wire& by) {
    if (!by.is_constant() || by.lo <= 0) fail("a remainder of something else than a positive constant");
    if (used(x).is_constant()) return wire(x.lo % by.lo);
    if (x.lo > -by.lo && x.hi < by.lo) return x;
    const interval range(x.lo < 0 ? 1 - by.lo : 0, x.hi > 0 ? by.lo - 1 : 0);
    return node(op::MOD, range, {x}, static_cast<long long>(by.lo));
}

// ---- bits -----------------------------------------------------------------------------------------------------------

// The low bits of x, as the type has them.
inline wire wrap(const wire& x, const int width, const bool is_signed) {
    const interval all = type_range(width, is_signed);
    if (all.holds(used(x))) return x;
    if (width >= max_bits) fail("a value of more than 126 bits");
    interval range(wrapped(x.lo, width, is_signed), wrapped(x.hi, width, is_signed));
    if (range.hi - range.lo != x.hi - x.lo) range = all;  // it wraps in between
    return is_signed ? node(op::WRAP, range, {x}, width) : node(op::SLICE, range, {x}, 0, width);
}

// x * 2^left, rounded down.
inline wire shift_by(const wire& x, const int left) {
    if (left == 0) return x;
    const interval range(shifted(used(x).lo, left), shifted(x.hi, left));
    if (left > 0) return node(op::SHL, range, {x}, left);
    return node(op::SHR, range, {x}, -left < max_bits ? -left : max_bits);
}

// Bits low .. low + n - 1, without a sign.
inline wire slice(const wire& x, const int low, const int n) {
    if (used(x).is_constant()) return wire(wrapped(shifted(x.lo, -low), n, false));
    if (x.lo >= 0 && shifted(x.hi, -low) <= type_range(n, false).hi) return shift_by(x, -low);
    return node(op::SLICE, type_range(n, false), {x}, low, n);
}

inline wire complement(const wire& x) {
    if (used(x).is_constant()) return wire(-1 - x.lo);
    return node(op::COM, interval(-1 - x.hi, -1 - x.lo), {x});
}

// What a gate can give: as many bits as the longer operand.
inline interval gates(const wire& a, const wire& b) {
    const interval both = join(a, b);
    return type_range(signed_bits(both) - (both.lo < 0 ? 0 : 1), both.lo < 0);
}

inline wire bitwise_and(const wire& a, const wire& b) {
    if (used(a).is_constant() && used(b).is_constant()) return wire(a.lo & b.lo);
    if (a.is(0) || b.is(0)) return wire(0);
    interval range = gates(a, b);
    if (a.lo >= 0 || b.lo >= 0) {  // not above the one that has no sign
        range.lo = 0;
        range.hi = a.lo < 0 ? b.hi : b.lo < 0 ? a.hi : (a.hi < b.hi ? a.hi : b.hi);
    }
    return node(op::AND, range, {a, b});
}

inline wire bitwise_or(const wire& a, const wire& b) {
    if (used(a).is_constant() && used(b).is_constant()) return wire(a.lo | b.lo);
    if (a.is(0)) return b;
    if (b.is(0)) return a;
    return node(op::OR, gates(a, b), {a, b});
}

inline wire bitwise_xor(const wire& a, const wire& b) {
    if (used(a).is_constant() && used(b).is_constant()) return wire(a.lo ^ b.lo);
    if (a.is(0)) return b;
    if (b.is(0)) return a;
    return node(op::XOR, gates(a, b), {a, b});
}

// ---- truth ----------------------------------------------------------------------------------------------------------

inline wire inverted(const wire& x) {
    if (used(x).is_constant()) return wire(1 - x.lo);
    return node(op::NOT, truth, {x});
}

inline wire both(const wire& a, const wire& b) {
    if (used(a).is(1)) return b;
    if (used(b).is(1)) return a;
    return bitwise_and(a, b);
}

inline wire either(const wire& a, const wire& b) {
    if (used(a).is(1) || used(b).is(1)) return wire(1);
    return bitwise_or(a, b);
}

inline wire differ(const wire& a, const wire& b) {
    if (used(a).is(1)) return inverted(b);
    if (used(b).is(1)) return inverted(a);
    return bitwise_xor(a, b);
}

inline wire equal(const wire& a, const wire& b) {
    if (used(a).is_constant() && used(b).is_constant()) return wire(a.lo == b.lo);
    if (a.hi < b.lo || b.hi < a.lo) return wire(0);
    return node(op::EQ, truth, {a, b});
}

inline wire less(const wire& a, const wire& b) {
    if (used(a).hi < used(b).lo) return wire(1);
    if (a.lo >= b.hi) return wire(0);
    return node(op::LT, truth, {a, b});
}

// ---- choices --------------------------------------------------------------------------------------------------------

inline bool is_same(const wire& a, const wire& b) { return a.id == b.id && (!a.is_constant() || a.lo == b.lo); }

inline wire choose(const wire& condition, const wire& a, const wire& b) {
    if (used(condition).is_constant()) return condition.lo ? a : b;
    if (is_same(used(a), used(b))) return a;
    return node(op::MUX, join(a, b), {condition, a, b});
}

// The constants as a table of the layer, known by its number.
inline int table_of(const std::vector<wire>& entries) {
    std::vector<wide> values;
    for (const wire& x : entries) values.push_back(x.lo);
    recording& r = current();
    const auto known = r.places_of_tables.find(values);
    if (known != r.places_of_tables.end()) return known->second;
    const int place = static_cast<int>(r.tables.size());
    r.tables.push_back(values);
    r.places_of_tables[values] = place;
    return place;
}

// entries[index]; the first one where there is no such entry.
inline wire pick_from(const std::vector<wire>& entries, const wire& index) {
    const wide n = static_cast<wide>(entries.size());
    if (used(index).is_constant())
        return entries[index.lo >= 0 && index.lo < n ? static_cast<std::size_t>(index.lo) : 0];
    interval range = used(entries[0]);
    bool is_all_same = true, is_constant = true;
    for (const wire& x : entries) {
        range = join(range, used(x));
        is_all_same = is_all_same && is_same(x, entries[0]);
        is_constant = is_constant && x.is_constant();
    }
    if (is_all_same) return entries[0];
    if (is_constant) return node(op::ROM, range, {index}, table_of(entries));
    std::vector<int> operands(1, operand_of(index));
    for (const wire& x : entries) operands.push_back(operand_of(x));
    return wire(range, put_line(op::PICK, range, 0, 0, operands));
}

// ---- shifts by wires ------------------------------------------------------------------------------------------------

// x * 2^distance in a type of so many bits, for a distance of 0 or more: what does not fit wraps.
inline wire shift_left(const wire& x, const wire& distance, const int width) {
    const interval all = type_range(width, true);
    interval range = all;
    if (distance.hi < max_bits && signed_bits(x) + static_cast<int>(distance.hi) <= width) {
        const int least = static_cast<int>(distance.lo), most = static_cast<int>(distance.hi);
        range = join(interval(shifted(x.lo, least), shifted(x.hi, least)),
                     interval(shifted(x.lo, most), shifted(x.hi, most)));
    }
    return node(op::VSHL, range, {x, distance}, width);
}

inline wire shift_right(const wire& x, const wire& distance) {
    const int least = static_cast<int>(distance.lo < max_bits ? distance.lo : max_bits);
    const int most = static_cast<int>(distance.hi < max_bits ? distance.hi : max_bits);
    const interval range = join(interval(shifted(x.lo, -least), shifted(x.hi, -least)),
                                interval(shifted(x.lo, -most), shifted(x.hi, -most)));
    return node(op::VSHR, range, {x, distance});
}

// x << distance or x >> distance in a type of `width` bits; a negative distance goes the other way.
inline wire shift(const wire& x, const wire& distance, const bool is_left, const int width, const bool is_signed) {
    if (used(x).is(0)) return x;
    if (used(distance).is_constant()) {
        const wide left = is_left ? distance.lo : -distance.lo;
        if (left >= width) return wire(0);
        const int n = static_cast<int>(left < -max_bits ? -max_bits : left);
        // What is shifted out at the top leaves first: an exact result could be too wide.
        return shift_by(n > 0 ? wrap(x, width - n, is_signed) : x, n);
    }
    const int room = width + (is_signed ? 0 : 1);
    if (distance.lo >= 0) return is_left ? shift_left(x, distance, room) : shift_right(x, distance);
    const wire back = subtract(wire(0), distance);
    if (back.lo >= 0) return is_left ? shift_right(x, back) : shift_left(x, back, room);
    // One of the two is used; the other's distance only has to be no negative number.
    const wire there = slice(distance, 0, length(distance.hi)), other = slice(back, 0, length(back.hi));
    const wire left = shift_left(x, is_left ? there : other, room), right = shift_right(x, is_left ? other : there);
    return choose(less(distance, wire(0)), is_left ? right : left, is_left ? left : right);
}

}  // namespace netlist
}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_NETLIST_NODES_H_
