// What a Quant node says, and the loops that compute it.
#ifndef SPARSE_QONNX_QUANT_LOOPS_H_
#define SPARSE_QONNX_QUANT_LOOPS_H_

#include <array>
#include <cmath>
#include <cstdint>
#include <string>

#include "fixed_point.h"
#include "kernel.h"

namespace sparse_qonnx {

enum class QuantMode { kRound, kHalfEven, kCeil, kFloor, kUp, kDown, kHalfUp, kHalfDown };

constexpr std::array<const char*, 8> kQuantModeNames = {"ROUND", "HALF_EVEN", "CEIL",    "FLOOR",
                                                        "UP",    "DOWN",      "HALF_UP", "HALF_DOWN"};

// Limits of the integers, and whether there are only two of them: -1 and 1.
template <typename T>
struct Limits {
    T low, high;
    bool bipolar;
};

// The two loops of one mode.
template <typename T>
struct QuantLoops {
    void (*uniform)(const T*, T*, int64_t, T, T, Limits<T>);
    void (*each)(const T*, T*, int64_t, const T*, int64_t, const T*, int64_t, Limits<T>);
};

// Defined in src/quant_loops.cc: there are many, and they are compiled once.
template <typename T>
QuantLoops<T> ChooseQuantLoops(QuantMode mode);

// The attributes of a Quant node.
template <typename T>
struct QuantAttributes {
    explicit QuantAttributes(const KernelInfo& info)
        : is_signed(info.Int("signed") != 0),
          narrow(info.Int("narrow") != 0),
          loops(ChooseQuantLoops<T>(ModeFromName<QuantMode>(
              "rounding_mode", Upper(info.String("rounding_mode", "ROUND")), kQuantModeNames))) {}

    Limits<T> LimitsOf(T bits) const {
        const T low = is_signed ? -std::exp2(bits - 1) + (narrow ? 1 : 0) : T(0);
        const T high = is_signed ? std::exp2(bits - 1) - 1 : std::exp2(bits) - (narrow ? 2 : 1);
        return {low, high, is_signed && bits == 1};
    }

    bool is_signed, narrow;
    QuantLoops<T> loops;

  private:
    static std::string Upper(std::string text) {
        for (char& letter : text) {
            if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
        }
        return text;
    }
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_QUANT_LOOPS_H_
