// The arithmetic of qonnx's Quant, operation for operation in the order its definition gives.
#include "quant_loops.h"

#include <utility>

namespace sparse_qonnx {
namespace {

template <QuantMode kMode, typename T>
SPARSE_QONNX_INLINE T RoundTo(T x) {
    constexpr T kHalf = T(0.5);
    switch (kMode) {
        case QuantMode::kCeil:
            return Ceil(x);
        case QuantMode::kFloor:
            return Floor(x);
        case QuantMode::kUp:
            return Sign(x) * Ceil(Abs(x));
        case QuantMode::kDown:
            return x < 0 ? Ceil(x) : Floor(x);
        case QuantMode::kHalfUp:
            return Sign(x) * Floor(Abs(x) + kHalf);
        case QuantMode::kHalfDown:
            return Sign(x) * Ceil(Abs(x) - kHalf);
        default:
            return RoundHalfEven(x);
    }
}

template <typename T>
SPARSE_QONNX_INLINE T Clip(T value, const Limits<T>& limits) {
    value = value > limits.high ? limits.high : value;
    return value < limits.low ? limits.low : value;
}

template <typename T>
SPARSE_QONNX_INLINE T Bipolar(T value) {
    return value >= 0 ? T(1) : T(-1);
}

// One scale and zero point for all. A division by a power of two is a multiplication, and much faster.
template <QuantMode kMode, typename T>
void QuantizeUniform(const T* x, T* y, int64_t count, T scale, T zero, Limits<T> limits) {
    int exponent;
    const T inverse = T(1) / scale;
    const bool exact = std::frexp(scale, &exponent) == T(0.5) && std::isnormal(inverse);
    RunBest([&]() SPARSE_QONNX_INLINE_LAMBDA {
        // Copies: a store to y might change what is only referred to, for all the compiler knows.
        const T s = scale, r = inverse, z = zero;
        const Limits<T> l = limits;
        if (exact && !l.bipolar) {
            for (int64_t i = 0; i < count; ++i) y[i] = (RoundTo<kMode>(Clip(x[i] * r + z, l)) - z) * s;
        } else if (!l.bipolar) {
            for (int64_t i = 0; i < count; ++i) y[i] = (RoundTo<kMode>(Clip(x[i] / s + z, l)) - z) * s;
        } else {
            for (int64_t i = 0; i < count; ++i) y[i] = (Bipolar(x[i] / s + z) - z) * s;
        }
    });
}

// A scale and a zero point each for every element, or one for all where the stride is 0.
template <QuantMode kMode, typename T>
void QuantizeEach(const T* x, T* y, int64_t count, const T* scale, int64_t scale_stride, const T* zero,
                  int64_t zero_stride, Limits<T> limits) {
    RunBest([&]() SPARSE_QONNX_INLINE_LAMBDA {
        for (int64_t i = 0; i < count; ++i) {
            const T s = scale[i * scale_stride], z = zero[i * zero_stride], value = x[i] / s + z;
            y[i] = ((limits.bipolar ? Bipolar(value) : RoundTo<kMode>(Clip(value, limits))) - z) * s;
        }
    });
}

// Indexed by QuantMode.
template <typename T, size_t... kModes>
QuantLoops<T> LoopsOf(QuantMode mode, std::index_sequence<kModes...>) {
    constexpr QuantLoops<T> kLoops[] = {
        {&QuantizeUniform<static_cast<QuantMode>(kModes), T>, &QuantizeEach<static_cast<QuantMode>(kModes), T>}...};
    return kLoops[static_cast<size_t>(mode)];
}

}  // namespace

template <typename T>
QuantLoops<T> ChooseQuantLoops(QuantMode mode) {
    return LoopsOf<T>(mode, std::make_index_sequence<kQuantModeNames.size()>());
}

template QuantLoops<float> ChooseQuantLoops<float>(QuantMode);
template QuantLoops<double> ChooseQuantLoops<double>(QuantMode);

}  // namespace sparse_qonnx
