#ifndef SPARSE_QONNX_SIM_CENSUS_COUNTS_H_
#define SPARSE_QONNX_SIM_CENSUS_COUNTS_H_

#include <cstdio>
#include <cstdlib>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

// Counts of the hardware that a design instantiates, layer by layer. Included wherever the kernels are compiled with
// SPARSE_QONNX_CENSUS; printed as lines `operation LAYER KIND A_BITS B_BITS INSTANCES` and `cycles LAYER CYCLES`.
namespace sparse_qonnx {
namespace census {

enum class kind { MULTIPLY, MULTIPLY_CONSTANT, ADD, COMPARE, SELECT, REGISTER, ROM, LOGIC };

inline const char* name_of(const kind what) {
    static const char* const names[] = {"multiply", "multiply_constant", "add", "compare",
                                        "select",   "register",          "rom", "logic"};
    return names[static_cast<int>(what)];
}

// Instances by kind and the widths of the two operands.
typedef std::map<std::tuple<kind, int, int>, long long> tally;

// A loop that is not unrolled, as one piece of hardware.
struct loop_body {
    std::map<kind, tally> largest;  // by kind, of the iteration with the most bits of it
    long long executions;
    long long trip_count;
    long long interval;
    long long cycles;  // of the loops inside, one iteration
    loop_body() : executions(0), trip_count(1), interval(1), cycles(0) {}
};

// What is open: the layer, and inside it the bodies of its loops.
struct frame {
    tally counts;
    std::map<const void*, loop_body> loops;
};

struct state {
    const char* layer;
    std::vector<frame> frames;
    state() : layer("?"), frames(1) {}
};

inline state& current() {
    static state the_state;
    return the_state;
}

inline void count(const kind what, const int a_bits, const int b_bits, const long long instances = 1) {
    if (a_bits <= 0 || instances <= 0) return;
    current().frames.back().counts[std::make_tuple(what, a_bits, b_bits)] += instances;
}

// The kernel needs the value of something that is a wire.
inline void fail(const char* what) {
    std::fprintf(stderr, "layer %s: %s\n", current().layer, what);
    std::exit(3);
}

inline long long bits_in(const tally& counts) {
    long long sum = 0;
    for (const auto& entry : counts) sum += entry.second * std::get<1>(entry.first) * std::get<2>(entry.first);
    return sum;
}

// One multiplier serves `interval` operations in turn: its operands are selected, one input for each of them.
inline tally shared(const tally& body, const long long interval) {
    tally result;
    for (const auto& entry : body) {
        if (std::get<0>(entry.first) != kind::MULTIPLY || interval == 1) {
            result[entry.first] += entry.second;
            continue;
        }
        const long long multipliers = (entry.second + interval - 1) / interval;
        result[entry.first] += multipliers;
        const int operand_bits = std::get<1>(entry.first) + std::get<2>(entry.first);
        if (entry.second > 1) result[std::make_tuple(kind::SELECT, operand_bits, 1)] += entry.second;
    }
    return result;
}

// What a frame held, its loops included: its hardware, and the cycles that its loops take one after another.
struct total {
    tally counts;
    long long cycles;
};

inline total close() {
    const frame done = std::move(current().frames.back());
    current().frames.pop_back();
    total result = {done.counts, 0};
    for (const auto& entry : done.loops) {
        const loop_body& loop = entry.second;
        // Executed more often than one loop is: it stands in something unrolled, as several pieces of hardware.
        const long long instances = (loop.executions + loop.trip_count - 1) / loop.trip_count;
        result.cycles += loop.trip_count * (loop.cycles > loop.interval ? loop.cycles : loop.interval);
        for (const auto& part : loop.largest) {
            for (const auto& one : shared(part.second, loop.interval)) {
                result.counts[one.first] += one.second * instances;
            }
        }
    }
    return result;
}

// An iteration of a loop.
class body_scope {
  public:
    body_scope(const void* loop, const long long trip_count, const long long interval) : loop_(loop) {
        loop_body& body = current().frames.back().loops[loop];
        body.executions++;
        body.trip_count = trip_count;
        body.interval = interval;
        current().frames.push_back(frame());
    }
    ~body_scope() {
        const total iteration = close();
        std::map<kind, tally> by_kind;
        for (const auto& entry : iteration.counts) by_kind[std::get<0>(entry.first)].insert(entry);
        loop_body& body = current().frames.back().loops[loop_];
        if (body.cycles < iteration.cycles) body.cycles = iteration.cycles;
        for (const auto& part : by_kind) {
            tally& known = body.largest[part.first];
            if (bits_in(known) < bits_in(part.second)) known = part.second;
        }
    }

  private:
    body_scope(const body_scope&);
    const void* loop_;
};

// A layer: everything counted while it exists.
class layer_scope {
  public:
    explicit layer_scope(const char* layer) {
        current().layer = layer;
        current().frames.push_back(frame());
    }
    ~layer_scope() {
        const total all = close();
        std::printf("cycles %s %lld\n", current().layer, all.cycles);
        for (const auto& entry : all.counts) {
            std::printf("operation %s %s %d %d %lld\n", current().layer, name_of(std::get<0>(entry.first)),
                        std::get<1>(entry.first), std::get<2>(entry.first), entry.second);
        }
    }

  private:
    layer_scope(const layer_scope&);
};

template <class T>
void count_registers(const T*, const long long n) {
    count(kind::REGISTER, T::width, 1, n);
}

}  // namespace census
}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_CENSUS_COUNTS_H_
