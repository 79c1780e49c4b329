#ifndef SPARSE_QONNX_SIM_CENSUS_COUNTS_H_
#define SPARSE_QONNX_SIM_CENSUS_COUNTS_H_

#include <cstdio>
#include <cstdlib>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

// Counts of the hardware that a design instantiates, layer by layer. Included wherever the kernels are compiled with
// SPARSE_QONNX_CENSUS; printed as lines `operation LAYER KIND A_BITS B_BITS INSTANCES` and
// `loop LAYER TRIP_COUNT INTERVAL INSTANCES`.
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
    loop_body() : executions(0), trip_count(1), interval(1) {}
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

// Close the innermost frame: what it holds, its loops included.
inline tally close(const bool is_layer) {
    frame done = std::move(current().frames.back());
    current().frames.pop_back();
    for (const auto& entry : done.loops) {
        const loop_body& loop = entry.second;
        // Executed more often than one loop is: it stands in something unrolled, as several pieces of hardware.
        const long long instances = (loop.executions + loop.trip_count - 1) / loop.trip_count;
        if (is_layer)
            std::printf("loop %s %lld %lld %lld\n", current().layer, loop.trip_count, loop.interval, instances);
        for (const auto& part : loop.largest) {
            for (const auto& one : shared(part.second, loop.interval)) done.counts[one.first] += one.second * instances;
        }
    }
    return done.counts;
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
        std::map<kind, tally> iteration;
        for (const auto& entry : close(false)) iteration[std::get<0>(entry.first)].insert(entry);
        std::map<kind, tally>& largest = current().frames.back().loops[loop_].largest;
        for (const auto& part : iteration) {
            tally& known = largest[part.first];
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
        for (const auto& entry : close(true)) {
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
