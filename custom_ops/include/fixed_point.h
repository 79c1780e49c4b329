// The arithmetic of FixedPointQuant, operation for operation in the order its definition gives, in the element type.
#ifndef SPARSE_QONNX_FIXED_POINT_H_
#define SPARSE_QONNX_FIXED_POINT_H_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "isa.h"
#include "rounding.h"
#include "tensor.h"

namespace sparse_qonnx {

enum class Rounding { kTrn, kTrnZero, kRnd, kRndZero, kRndMinInf, kRndInf, kRndConv };
enum class Overflow { kWrap, kSat, kSatSym, kWrapSm };

constexpr std::array<const char*, 7> kRoundingNames = {"TRN",         "TRN_ZERO", "RND",     "RND_ZERO",
                                                       "RND_MIN_INF", "RND_INF",  "RND_CONV"};
constexpr std::array<const char*, 4> kOverflowNames = {"WRAP", "SAT", "SAT_SYM", "WRAP_SM"};

template <typename Mode, size_t kCount>
Mode ModeFromName(const char* attribute, const std::string& name, const std::array<const char*, kCount>& names) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
        std::string allowed;
        for (const char* candidate : names) {
            allowed += std::string(allowed.empty() ? "" : ", ") + candidate;
        }
        Fail(attribute, " is '", name, "'; allowed are ", allowed);
    }
    return static_cast<Mode>(found - names.begin());
}

// What one (signed, integer_bits, fractional_bits) comes to. Stored as six arrays of numbers, not as an array of six,
// so that a row of different quantizers is still vectorised.
enum Field { kScale, kStep, kLow, kHigh, kSpan, kLive, kFields };

// A map [H, W, C] of quantizers, all numbers of a pixel next to each other.
template <typename T>
struct PixelMap {
    const T* fields;
    uint64_t rows, columns;  // limits of the coordinates
    int64_t row_stride, column_stride, channel_stride;
    int64_t pitch;  // from one field of a pixel to the next
};

template <typename T>
struct FixedPoint {
    // `fields[field * stride]`. Low and high are the limits of SAT, bias and modulus of WRAP.
    static void Prepare(T is_signed, T integer_bits, T fractional_bits, Overflow overflow, T* fields, int64_t stride) {
        const T integer = std::max(integer_bits, -fractional_bits);
        const T step = std::exp2(-fractional_bits), span = std::exp2(integer);
        const T high = span - step;
        fields[kScale * stride] = std::exp2(fractional_bits);
        // Below 2^-127 (2^-1022 for double) the reciprocal overflows; every finite value then rounds to 0, and stays 0.
        fields[kStep * stride] = std::min(step, std::numeric_limits<T>::max());
        switch (overflow) {
            case Overflow::kSat:
                fields[kLow * stride] = -is_signed * span;
                fields[kHigh * stride] = high;
                break;
            case Overflow::kSatSym:
                fields[kLow * stride] = -is_signed * high;
                fields[kHigh * stride] = high;
                break;
            case Overflow::kWrap:
                fields[kLow * stride] = is_signed * std::exp2(integer + is_signed - 1);
                fields[kHigh * stride] = 0;
                break;
            case Overflow::kWrapSm:
                fields[kLow * stride] = -(high + step) * is_signed;
                fields[kHigh * stride] = high;
                break;
        }
        fields[kSpan * stride] = std::exp2(integer + is_signed);
        fields[kLive * stride] = is_signed + integer_bits + fractional_bits > 0 ? T(1) : T(0);
    }

    template <Rounding kRounding>
    static SPARSE_QONNX_INLINE T Round(T x) {
        constexpr T kHalf = T(0.5);
        switch (kRounding) {
            case Rounding::kTrn:
                return Floor(x);
            case Rounding::kTrnZero:
                return Floor(Abs(x)) * Sign(x);
            case Rounding::kRnd:
                return Floor(x + kHalf);
            case Rounding::kRndZero:
                return -Floor(kHalf - Abs(x)) * Sign(x);
            case Rounding::kRndMinInf:
                return -Floor(kHalf - x);
            case Rounding::kRndInf:
                return Floor(Abs(x) + kHalf) * Sign(x);
            case Rounding::kRndConv:
                return RoundHalfEven(x);
        }
        return x;
    }

    static SPARSE_QONNX_INLINE T Modulo(T x, T modulus) { return x - Floor(x / modulus) * modulus; }

    static SPARSE_QONNX_INLINE T Reflect(T x, T rounded, T step, T low, T high, T interval) {
        const T half = step * T(0.5);
        const bool odd_period = (Modulo(x / interval, T(2)) >= 1) & (Abs(x) > half);
        const bool odd_half = Modulo((x + half) / (interval * T(0.5)), T(2)) >= 1;
        T mapped = Modulo(rounded - high - step, interval) + low;
        mapped = odd_half ? -mapped - step : mapped;
        return odd_period ? -mapped - step : mapped;
    }

    template <Rounding kRounding, Overflow kOverflow>
    static SPARSE_QONNX_INLINE T Quantize(T x, T scale, T step, T low, T high, T span, T live) {
        T y;
        if (kOverflow == Overflow::kSat || kOverflow == Overflow::kSatSym) {
            x = x > high ? high : (x < low ? low : x);
            y = Round<kRounding>(x * scale) * step;
        } else if (kOverflow == Overflow::kWrap) {
            y = Modulo(Round<kRounding>(x * scale) * step + low, span) - low;
        } else {
            y = Reflect(x, Round<kRounding>(x * scale) * step, step, low, high, span);
        }
        return live > 0 ? y : T(0);
    }

    // `stride` 0: one quantizer for all; 1: one an element. `fields` are `pitch` apart.
    template <Rounding kRounding, Overflow kOverflow>
    static void Row(const T* x, T* y, int64_t count, const T* fields, int64_t pitch, int64_t stride) {
        RunBest([&]() SPARSE_QONNX_INLINE_LAMBDA {
            const T *scale = fields + kScale * pitch, *step = fields + kStep * pitch, *low = fields + kLow * pitch,
                    *high = fields + kHigh * pitch, *span = fields + kSpan * pitch, *live = fields + kLive * pitch;
            if (stride == 0) {
                const T s = *scale, e = *step, l = *low, h = *high, m = *span, v = *live;
                for (int64_t i = 0; i < count; ++i) {
                    y[i] = Quantize<kRounding, kOverflow>(x[i], s, e, l, h, m, v);
                }
            } else {
                for (int64_t i = 0; i < count; ++i) {
                    y[i] = Quantize<kRounding, kOverflow>(x[i], scale[i], step[i], low[i], high[i], span[i], live[i]);
                }
            }
        });
    }

    // One event whose quantizers depend on the pixel; empty slots give 0. Returns the first slot that lies outside the
    // map, or -1.
    template <Rounding kRounding, Overflow kOverflow>
    static int64_t Pixels(const T* x, T* y, const int64_t* coords, int64_t slots, int64_t channels,
                          const PixelMap<T>& map) {
        int64_t outside = -1;
        RunBest([&]() SPARSE_QONNX_INLINE_LAMBDA {
            for (int64_t slot = 0; slot < slots; ++slot, x += channels, y += channels) {
                const int64_t row = coords[2 * slot], column = coords[2 * slot + 1];
                if ((row | column) == 0) {
                    std::fill_n(y, channels, T(0));
                    continue;
                }
                if (static_cast<uint64_t>(row) - 1 >= map.rows || static_cast<uint64_t>(column) - 1 >= map.columns) {
                    outside = slot;
                    return;
                }
                const T* at = map.fields + (row - 1) * map.row_stride + (column - 1) * map.column_stride;
                const int64_t pitch = map.pitch, step = map.channel_stride;
                for (int64_t c = 0; c < channels; ++c, at += step) {
                    y[c] = Quantize<kRounding, kOverflow>(x[c], at[kScale * pitch], at[kStep * pitch], at[kLow * pitch],
                                                          at[kHigh * pitch], at[kSpan * pitch], at[kLive * pitch]);
                }
            }
        });
        return outside;
    }

    // The two loops of one pair of modes.
    struct Loops {
        void (*row)(const T*, T*, int64_t, const T*, int64_t, int64_t);
        int64_t (*pixels)(const T*, T*, const int64_t*, int64_t, int64_t, const PixelMap<T>&);
    };

    // Defined in src/fixed_point.cc: there are many loops, and they are compiled once.
    static Loops Choose(Rounding rounding, Overflow overflow);
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_FIXED_POINT_H_
