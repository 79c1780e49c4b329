#ifndef SPARSE_QONNX_SIM_NETLIST_LOOPS_H_
#define SPARSE_QONNX_SIM_NETLIST_LOOPS_H_

#include "number.h"

// Loops that are not unrolled, and the state that is kept over their trips.
//
// The body of a loop is recorded in its first trip. The second and the last one only check that they would be the same,
// and the others are left out. State lives in variables of the kernel that are declared: inside of a loop a register
// stands for them, and behind it what that register holds in the end. In a nest of loops only the innermost one may
// read or write them.
namespace sparse_qonnx {
namespace netlist {

// Registers stand for the state, from here on.
inline void begin_state() {
    recording& r = current();
    for (held& state : r.state) {
        std::vector<int> reset;
        if (state.reset.is_set()) reset.push_back(operand_of(state.reset));
        state.reg = put_line(op::REG, state.range, 0, 0, reset);
    }
}

// A trip begins: every register can be read.
inline void show_state() {
    for (held& state : current().state) *state.variable = wire(state.range, state.reg);
}

// A trip of the innermost loop ends: the registers take what the variables hold.
inline void take_state() {
    recording& r = current();
    for (held& state : r.state) {
        const int next = operand_of(*state.variable);
        state.is_changed = next != state.reg;
        put_line(op::NEXT, state.range, 0, 0, {state.reg, next});
    }
}

// All loops have ended. A register that never changes is what it was before.
inline void end_state() {
    recording& r = current();
    for (held& state : r.state) {
        if (state.is_changed) {
            *state.variable = wire(state.range, put_line(op::LAST, state.range, 0, 0, {state.reg}));
        } else {
            if (state.reset.is_set()) r.stands_for[state.reg] = operand_of(state.reset);
            *state.variable = state.reset;
        }
    }
}

inline void check_untouched(const char* const where) {
    for (const held& state : current().state) {
        if (state.variable->id != state.reg) fail(std::string("a register changes ") + where);
    }
}

inline void check_unread() {
    const recording& r = current();
    for (const held& state : r.state) {
        if (r.lines[state.reg].is_read) fail("a register is read beside an inner loop");
    }
}

inline int open_loop(const unsigned* const variable, const char* const label, const long long trips,
                     const long long cycles) {
    recording& r = current();
    const int parent = r.open.empty() ? -1 : r.open.back();
    if (parent < 0) {
        for (held& state : r.state) state.reset = *state.variable;
    } else {
        if (!is_replay() && r.loops[parent].has_child) fail("two loops inside of one");
        check_untouched("beside an inner loop");
        check_unread();
        r.loops[parent].has_child = true;
    }
    int id = static_cast<int>(r.loops.size());
    if (is_replay()) {
        if (r.cursor >= r.lines.size() || r.lines[r.cursor].what != op::LOOP) fail_other_trip();
        id = static_cast<int>(r.lines[r.cursor].a);
    } else {
        const loop_info made = {variable, label, trips, cycles, parent, false, 0, 0, -1, 0};
        r.loops.push_back(made);
    }
    put_line(op::LOOP, truth, id, 0, {});
    r.open.push_back(id);
    loop_info& loop = r.loops[id];
    loop.trip = 0;
    here().loop = label;
    loop.counter = put_line(op::COUNTER, interval(0, trips - 1), id, 0, {});
    if (!is_replay()) loop.begin = r.lines.size();
    return id;
}

// The trip of a loop; ends with the trip.
class trip_scope {
  public:
    trip_scope(const unsigned& variable, const char* const label, const long long trips, const long long cycles)
        : is_recorded_(true), loop_(-1) {
        if (trips == 1) return;
        if (trips < 1) fail(std::string("the loop over ") + label + " has no trip");
        recording& r = current();
        const long long trip = variable;
        if (trip == 0) open_loop(&variable, label, trips, cycles);
        if (r.open.empty() || r.loops[r.open.back()].variable != &variable) {
            fail(std::string("the loop over ") + label +
                 " does not count from 0, or not by 1, or has more trips than it says");
        }
        loop_ = r.open.back();
        loop_info& loop = r.loops[loop_];
        loop.trip = trip;
        is_recorded_ = trip <= 1 || trip == trips - 1;
        if (!is_recorded_) return;
        if (trip > 0) r.cursor = loop.begin;
        // Whether an inner loop comes is not known yet; if one does, it has registers of its own.
        begin_state();
        show_state();
    }

    ~trip_scope() {
        if (loop_ < 0) return;
        recording& r = current();
        const bool is_last = r.loops[loop_].trip == r.loops[loop_].trips - 1;
        if (is_recorded_) {
            if (r.loops[loop_].has_child) {
                check_untouched("behind an inner loop");
            } else {
                take_state();
            }
            if (!is_replay()) {
                r.loops[loop_].end = r.lines.size();
            } else if (r.cursor != r.loops[loop_].end) {
                fail_other_trip();
            }
        }
        if (is_last) close();
    }

    bool is_recorded() const { return is_recorded_; }

  private:
    trip_scope(const trip_scope&);

    void close() {
        recording& r = current();
        r.loops[loop_].trip = 0;
        r.open.pop_back();
        put_line(op::END_LOOP, truth, loop_, 0, {});
        here().loop = r.open.empty() ? nullptr : r.loops[r.open.back()].label;
        if (r.open.empty()) {
            end_state();
        } else {
            show_state();  // to nobody: what is read outside of the innermost loop is refused
        }
    }

    bool is_recorded_;
    int loop_;
};

// State: n variables from `array` on, as long as this exists.
class state_scope {
  public:
    template <class T>
    state_scope(T* const array, const long long n) {
        recording& r = current();
        if (!r.open.empty()) fail("registers are declared inside of a loop; declare them before it");
        begin_ = r.state.size();
        for (long long i = 0; i < n; i++) {
            wire* const variable = &array[i].state();
            const held made = {variable, type_range(T::width, T::is_signed), wire(), -1, false};
            if (r.variables.insert(variable).second) r.state.push_back(made);
        }
        end_ = r.state.size();
    }
    ~state_scope() {
        recording& r = current();
        for (std::size_t i = begin_; i < end_; i++) r.variables.erase(r.state[i].variable);
        r.state.erase(r.state.begin() + begin_, r.state.begin() + end_);
    }

  private:
    state_scope(const state_scope&);
    std::size_t begin_, end_;
};

inline const loop_info& loop_of(const unsigned& variable) {
    const recording& r = current();
    for (const int loop : r.open) {
        if (r.loops[loop].variable == &variable) return r.loops[loop];
    }
    fail("a counter of no loop");
}

// Where a word is taken; true outside of any.
inline wire& read_enable() {
    static wire the_enable(1);
    return the_enable;
}

class read_scope {
  public:
    explicit read_scope(const bit& enable) : before_(read_enable()) { read_enable() = enable.value(); }
    ~read_scope() { read_enable() = before_; }

  private:
    read_scope(const read_scope&);
    wire before_;
};

}  // namespace netlist
}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_NETLIST_LOOPS_H_
