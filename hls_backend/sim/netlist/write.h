#ifndef SPARSE_QONNX_SIM_NETLIST_WRITE_H_
#define SPARSE_QONNX_SIM_NETLIST_WRITE_H_

#include "recording.h"

// A layer as text, without what nobody needs; FORMAT.md beside this file describes it.
namespace sparse_qonnx {
namespace netlist {

// The operand that a register which never changes stands for.
inline int resolved(int operand) {
    const recording& r = current();
    for (auto known = r.stands_for.find(operand); known != r.stands_for.end(); known = r.stands_for.find(operand)) {
        operand = known->second;
    }
    return operand;
}

inline std::string reference(const int operand) {
    const int place = resolved(operand);
    return place < 0 ? "c" + text(current().constants[-1 - place]) : "n" + std::to_string(place);
}

// Lines that outputs, words and loops need.
inline std::vector<bool> needed_lines() {
    const recording& r = current();
    std::vector<bool> is_needed(r.lines.size(), false);
    std::vector<int> next_of(r.lines.size(), -1), open;
    const auto need = [&](const int operand) {
        const int place = resolved(operand);
        if (place < 0 || is_needed[place]) return;
        is_needed[place] = true;
        open.push_back(place);
    };
    for (std::size_t i = 0; i < r.lines.size(); i++) {
        const op what = r.lines[i].what;
        if (what == op::NEXT) next_of[r.operands[r.lines[i].first]] = static_cast<int>(i);
        if (what == op::WORD_IN || what == op::LANE || what == op::WORD_OUT || what == op::LOOP ||
            what == op::END_LOOP || what == op::INPUT) {
            need(static_cast<int>(i));
        }
    }
    for (const output_element& element : r.outputs) need(element.operand);
    while (!open.empty()) {
        const int place = open.back();
        open.pop_back();
        for (std::size_t k = r.lines[place].first; k < r.lines[place].end; k++) need(r.operands[k]);
        if (next_of[place] >= 0) need(next_of[place]);
    }
    return is_needed;
}

inline int outermost(int loop) {
    while (current().loops[loop].parent >= 0) loop = current().loops[loop].parent;
    return loop;
}

inline std::string numbers(const interval& range) { return " " + text(range.lo) + " " + text(range.hi); }

// What stands between the word and the operands.
inline std::string head_of(const std::size_t place) {
    const recording& r = current();
    const line& x = r.lines[place];
    const std::string id = std::to_string(place);
    switch (x.what) {
        case op::LOOP: {
            const loop_info& loop = r.loops[x.a];
            const std::string parent = loop.parent < 0 ? "-" : std::to_string(loop.parent);
            return " " + std::to_string(x.a) + " " + parent + " " + std::to_string(loop.trips) + " " +
                   std::to_string(loop.interval) + " " + loop.label;
        }
        case op::END_LOOP:
            return " " + std::to_string(x.a);
        case op::COUNTER:
            return " " + id + " " + std::to_string(x.a) + numbers(x.range);
        case op::REG:
            return " " + id + " " + std::to_string(outermost(x.loop)) + numbers(x.range);
        case op::NEXT:
            return "";
        case op::LAST:
            return " " + id + " " + std::to_string(r.operands[x.first]) + numbers(x.range);
        case op::INPUT: {
            const bool is_signed = x.range.lo < 0;
            const int width = signed_bits(x.range) - (is_signed ? 0 : 1);
            return " " + id + " " + r.names[x.a] + " " + std::to_string(x.b) + " " + std::to_string(width) + " " +
                   std::to_string(int(is_signed)) + numbers(x.range);
        }
        case op::WORD_IN:
        case op::WORD_OUT:
            return " " + r.names[x.a];
        case op::LANE:
            return " " + id + numbers(x.range);
        default:
            return " " + id + " " + name_of(x.what) + numbers(x.range);
    }
}

inline void write_line(const std::size_t place) {
    const recording& r = current();
    const line& x = r.lines[place];
    const bool is_node = x.what < op::INPUT;
    std::string out = (is_node ? "node" : name_of(x.what)) + head_of(place);
    for (std::size_t k = x.what == op::LAST ? x.end : x.first; k < x.end; k++) {
        if (x.what == op::NEXT && k == x.first) {
            out += " " + std::to_string(r.operands[k]);
        } else {
            out += " " + reference(r.operands[k]);
        }
    }
    if (x.what == op::REG && x.first == x.end) out += " -";
    if (x.what == op::WORD_IN) {
        for (std::size_t lane = place + 1; lane < r.lines.size() && r.lines[lane].what == op::LANE; lane++) {
            out += " " + std::to_string(lane);
        }
    }
    switch (x.what) {
        case op::SHL:
        case op::SHR:
        case op::VSHL:
        case op::WRAP:
        case op::DIV:
        case op::MOD:
        case op::ROM:
            out += " " + std::to_string(x.a);
            break;
        case op::SLICE:
            out += " " + std::to_string(x.a) + " " + std::to_string(x.b);
            break;
        default:
            break;
    }
    std::printf("%s\n", out.c_str());
}

inline void write_table(const std::size_t n) {
    std::string out = "table " + std::to_string(n) + " " + std::to_string(current().tables[n].size());
    for (const wide x : current().tables[n]) out += " " + text(x);
    std::printf("%s\n", out.c_str());
}

inline void write_layer() {
    const recording& r = current();
    const std::vector<bool> is_needed = needed_lines();
    std::vector<bool> is_written(r.tables.size(), false);
    for (std::size_t i = 0; i < r.lines.size(); i++) {
        if (!is_needed[i]) continue;
        const line& x = r.lines[i];
        if (x.what == op::ROM && !is_written[x.a]) {
            is_written[x.a] = true;
            write_table(static_cast<std::size_t>(x.a));
        }
        write_line(i);
    }
    for (const output_element& element : r.outputs) {
        std::printf("output %s %u %d %d %s\n", r.names[element.tensor].c_str(), element.index, element.width,
                    int(element.is_signed), reference(element.operand).c_str());
    }
    std::printf("endlayer\n");
}

}  // namespace netlist
}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_NETLIST_WRITE_H_
