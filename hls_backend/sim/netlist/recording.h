#ifndef SPARSE_QONNX_SIM_NETLIST_RECORDING_H_
#define SPARSE_QONNX_SIM_NETLIST_RECORDING_H_

#include <cstdint>
#include <initializer_list>
#include <map>
#include <set>
#include <vector>

#include "wire.h"

// The netlist of the layer that is being recorded: lines in the order in which the kernel makes them.
namespace sparse_qonnx {
namespace netlist {

enum class op {
    ADD,
    SUB,
    MUL,
    AND,
    OR,
    XOR,
    COM,
    NOT,
    EQ,
    LT,
    MUX,
    SHL,
    SHR,
    VSHL,
    VSHR,
    SLICE,
    WRAP,
    DIV,
    MOD,
    ROM,
    PICK,
    // no nodes
    INPUT,
    LOOP,
    END_LOOP,
    COUNTER,
    REG,
    NEXT,
    LAST,
    WORD_IN,
    LANE,
    WORD_OUT
};

inline const char* name_of(const op what) {
    static const char* const names[] = {"add",     "sub", "mul",  "and",  "or",      "xor",   "com",     "not",
                                        "eq",      "lt",  "mux",  "shl",  "shr",     "vshl",  "vshr",    "slice",
                                        "wrap",    "div", "mod",  "rom",  "pick",    "input", "loop",    "endloop",
                                        "counter", "reg", "next", "last", "word_in", "lane",  "word_out"};
    return names[static_cast<int>(what)];
}

// One line. Operands lie in `recording::operands`: at least 0, a line; below, a constant.
struct line {
    op what;
    int loop;  // the innermost one that is open, or -1
    interval range;
    long long a, b;  // parameters; see write.h
    std::size_t first, end;
    bool is_read;
};

struct loop_info {
    const unsigned* variable;
    const char* label;
    long long trips, interval;
    int parent;
    bool has_child;
    std::size_t begin, end;  // lines of the body
    int counter;
    long long trip;
};

// State that is declared: it lives in a variable of the kernel.
struct held {
    wire* variable;
    interval range;
    wire reset;  // what it holds when the outermost loop begins
    int reg;     // the register that stands for it inside of a loop
    bool is_changed;
};

struct output_element {
    int tensor;  // its name
    unsigned index;
    int width;
    bool is_signed;
    int operand;
};

struct recording {
    std::vector<line> lines;
    std::vector<int> operands;
    std::vector<wide> constants;
    std::map<wide, int> places_of_constants;
    std::vector<std::vector<wide> > tables;
    std::map<std::vector<wide>, int> places_of_tables;
    std::vector<std::string> names;  // of tensors and streams
    std::vector<loop_info> loops;
    std::vector<int> open;
    std::vector<held> state;
    std::set<const wire*> variables;  // of the state
    std::vector<output_element> outputs;
    std::map<int, int> stands_for;  // registers that never change, and the operand that they hold
    std::size_t cursor;             // where other trips of a loop are compared with the first
    std::size_t most;               // lines and operands that a layer may have
    recording() : cursor(0), most(~std::size_t(0)) {}
};

inline recording& current() {
    static recording the_recording;
    return the_recording;
}

// The first trips of all open loops are recorded; of other trips it is checked that they would be the same.
inline bool is_replay() {
    for (const int loop : current().open) {
        if (current().loops[loop].trip > 0) return true;
    }
    return false;
}

inline int operand_of(const wire& given) {
    recording& r = current();
    const wire& x = used(given);
    if (!x.is_constant()) {
        const int loop = r.lines[x.id].loop;
        bool is_open = loop < 0;
        for (const int other : r.open) is_open = is_open || other == loop;
        if (!is_open) {
            const char* const label = r.loops[loop].label;
            fail(std::string("a value made in the loop over ") + label +
                 " is used behind it; declare it as a register");
        }
        r.lines[x.id].is_read = true;
        return x.id;
    }
    const auto known = r.places_of_constants.find(x.lo);
    if (known != r.places_of_constants.end()) return -1 - known->second;
    r.places_of_constants[x.lo] = static_cast<int>(r.constants.size());
    r.constants.push_back(x.lo);
    return -static_cast<int>(r.constants.size());
}

inline void check_size() {
    const recording& r = current();
    if (r.lines.size() + r.operands.size() > r.most) {
        fail("more than " + text(static_cast<wide>(r.most)) + " lines and operands of its netlist", TOO_LARGE);
    }
}

inline void fail_other_trip() {
    fail("a later trip is not the first one again: state that is not declared, or a branch on the loop's counter");
}

// A line; in other trips than the first the one that is there already. Returns its place.
inline int put_line(const op what, const interval& range, const long long a, const long long b,
                    const std::vector<int>& operands) {
    recording& r = current();
    if (is_replay()) {
        if (r.cursor >= r.lines.size()) fail_other_trip();
        const line& known = r.lines[r.cursor];
        bool is_same = known.what == what && known.range.lo == range.lo && known.range.hi == range.hi && known.a == a &&
                       known.b == b && known.end - known.first == operands.size();
        for (std::size_t i = 0; is_same && i < operands.size(); i++) {
            is_same = r.operands[known.first + i] == operands[i];
        }
        if (!is_same) fail_other_trip();
        return static_cast<int>(r.cursor++);
    }
    const std::size_t first = r.operands.size();
    r.operands.insert(r.operands.end(), operands.begin(), operands.end());
    const line made = {what, r.open.empty() ? -1 : r.open.back(), range, a, b, first, r.operands.size(), false};
    r.lines.push_back(made);
    check_size();
    return static_cast<int>(r.lines.size() - 1);
}

// A node with that interval; a constant where it is one.
inline wire node(const op what, const interval& range, const std::initializer_list<wire>& operands,
                 const long long a = 0, const long long b = 0) {
    if (range.lo == range.hi) return wire(range.lo);
    std::vector<int> places;
    for (const wire& x : operands) places.push_back(operand_of(x));
    return wire(range, put_line(what, range, a, b, places));
}

inline int name_index(const std::string& name) {
    recording& r = current();
    for (std::size_t i = 0; i < r.names.size(); i++) {
        if (r.names[i] == name) return static_cast<int>(i);
    }
    r.names.push_back(name);
    return static_cast<int>(r.names.size() - 1);
}

}  // namespace netlist
}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_NETLIST_RECORDING_H_
