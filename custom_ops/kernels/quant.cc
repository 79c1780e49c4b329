// qonnx's Quant (x, scale, zero point, bit width) -> y, with qonnx's arithmetic: divide, shift, clip, round, shift
// back, multiply. A signed width of one bit means the two values -1 and 1.
#include <array>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "broadcast.h"
#include "fixed_point.h"
#include "parallel.h"
#include "registry.h"

namespace sparse_qonnx {
namespace {

enum class Mode { kRound, kHalfEven, kCeil, kFloor, kUp, kDown, kHalfUp, kHalfDown };

constexpr std::array<const char*, 8> kModeNames = {"ROUND", "HALF_EVEN", "CEIL",    "FLOOR",
                                                   "UP",    "DOWN",      "HALF_UP", "HALF_DOWN"};

template <Mode kMode, typename T>
SPARSE_QONNX_INLINE T RoundTo(T x) {
    constexpr T kHalf = T(0.5);
    switch (kMode) {
        case Mode::kCeil:
            return Ceil(x);
        case Mode::kFloor:
            return Floor(x);
        case Mode::kUp:
            return Sign(x) * Ceil(Abs(x));
        case Mode::kDown:
            return x < 0 ? Ceil(x) : Floor(x);
        case Mode::kHalfUp:
            return Sign(x) * Floor(Abs(x) + kHalf);
        case Mode::kHalfDown:
            return Sign(x) * Ceil(Abs(x) - kHalf);
        default:
            return RoundHalfEven(x);
    }
}

// Limits of the integers, and whether there are only two of them: -1 and 1.
template <typename T>
struct Limits {
    T low, high;
    bool bipolar;
};

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
template <Mode kMode, typename T>
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
template <Mode kMode, typename T>
void QuantizeEach(const T* x, T* y, int64_t count, const T* scale, int64_t scale_stride, const T* zero,
                  int64_t zero_stride, Limits<T> limits) {
    RunBest([&]() SPARSE_QONNX_INLINE_LAMBDA {
        for (int64_t i = 0; i < count; ++i) {
            const T s = scale[i * scale_stride], z = zero[i * zero_stride], value = x[i] / s + z;
            y[i] = ((limits.bipolar ? Bipolar(value) : RoundTo<kMode>(Clip(value, limits))) - z) * s;
        }
    });
}

template <typename T>
struct QuantLoops {
    void (*uniform)(const T*, T*, int64_t, T, T, Limits<T>);
    void (*each)(const T*, T*, int64_t, const T*, int64_t, const T*, int64_t, Limits<T>);
};

// Indexed by Mode.
template <typename T, size_t... kModes>
QuantLoops<T> ChooseLoops(Mode mode, std::index_sequence<kModes...>) {
    constexpr QuantLoops<T> kLoops[] = {
        {&QuantizeUniform<static_cast<Mode>(kModes), T>, &QuantizeEach<static_cast<Mode>(kModes), T>}...};
    return kLoops[static_cast<size_t>(mode)];
}

template <typename T>
class Quant {
  public:
    static constexpr const char* kDomain = "qonnx.custom_op.general";
    static constexpr const char* kName = "Quant";
    static constexpr Port kInputs[] = {{Port::kValue}, {Port::kValue}, {Port::kValue}, {Port::kValue}};
    static constexpr Port kOutputs[] = {{Port::kValue}};

    explicit Quant(const KernelInfo& info)
        : signed_(info.Int("signed") != 0),
          narrow_(info.Int("narrow") != 0),
          loops_(ChooseLoops<T>(
              ModeFromName<Mode>("rounding_mode", Upper(info.String("rounding_mode", "ROUND")), kModeNames),
              std::make_index_sequence<kModeNames.size()>())) {
        // Weights: onnxruntime does not fold custom operators, so the one result they ever have is computed here.
        Tensor constants[4];
        for (size_t i = 0; i < 4; ++i) {
            const auto constant = info.Constant(i);
            if (!constant || constant->type != ElementType<T>::value) return;
            constants[i] = *constant;
        }
        const Parameters parameters = Prepare(constants);
        constant_result_.emplace(static_cast<size_t>(constants[0].shape.size()));
        for (int64_t run = 0; run < parameters.runs; ++run) {
            QuantizeRun(parameters, run, constant_result_->data());
        }
    }

    void Compute(KernelContext& context) const {
        Tensor inputs[4] = {context.Input<T>(0, "x"), {}, {}, {}};
        T* y = context.Output<T>(0, "y", inputs[0].shape);
        if (constant_result_) {
            std::copy(constant_result_->begin(), constant_result_->end(), y);
            return;
        }
        inputs[1] = context.Input<T>(1, "scale");
        inputs[2] = context.Input<T>(2, "zero point");
        inputs[3] = context.Input<T>(3, "bit width");
        const Parameters parameters = Prepare(inputs);
        ParallelFor(context, parameters.runs, 5 + parameters.run,
                    [&](int64_t begin, int64_t end) SPARSE_QONNX_INLINE_LAMBDA {
                        for (int64_t run = begin; run < end; ++run) {
                            QuantizeRun(parameters, run, y);
                        }
                    });
    }

  private:
    // Elements come in runs along which both parameters move evenly.
    struct Parameters {
        const T *x, *scale, *zero;
        BroadcastWalk scale_walk, zero_walk;
        int64_t count, run, runs;
        bool uniform;
        Limits<T> limits;
    };
    static constexpr int64_t kUniformRun = 4096;

    static std::string Upper(std::string text) {
        for (char& letter : text) {
            if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
        }
        return text;
    }

    // `tensors`: x, scale, zero point, bit width.
    Parameters Prepare(const Tensor* tensors) const {
        const Shape& shape = tensors[0].shape;
        for (int i : {1, 2}) {
            if (BroadcastShapes(shape, tensors[i].shape) != shape) {
                Fail(i == 1 ? "scale " : "zero point ", tensors[i].shape, " does not broadcast to x ", shape);
            }
        }
        if (tensors[3].shape.size() != 1) Fail("bit width has the shape ", tensors[3].shape, "; one number is needed");
        const T bits = *tensors[3].as<T>();
        const T low = signed_ ? -std::exp2(bits - 1) + (narrow_ ? 1 : 0) : T(0);
        const T high = signed_ ? std::exp2(bits - 1) - 1 : std::exp2(bits) - (narrow_ ? 2 : 1);
        const BroadcastWalk scale(shape, tensors[1].shape), zero(shape, tensors[2].shape);
        const bool uniform = tensors[1].shape.size() == 1 && tensors[2].shape.size() == 1;
        const int64_t count = shape.size();
        // The longer of two runs is a multiple of the shorter: both are products of the last axes.
        const int64_t run = uniform ? kUniformRun : std::max<int64_t>(std::min(scale.Run(), zero.Run()), 1);
        return {tensors[0].as<T>(),
                tensors[1].as<T>(),
                tensors[2].as<T>(),
                scale,
                zero,
                count,
                run,
                (count + run - 1) / run,
                uniform,
                {low, high, signed_ && bits == 1}};
    }

    void QuantizeRun(const Parameters& p, int64_t index, T* y) const {
        const int64_t begin = index * p.run, length = std::min(p.run, p.count - begin);
        if (p.uniform) {
            loops_.uniform(p.x + begin, y + begin, length, *p.scale, *p.zero, p.limits);
        } else {
            loops_.each(p.x + begin, y + begin, length, p.scale + Start(p.scale_walk, begin), p.scale_walk.RunStride(),
                        p.zero + Start(p.zero_walk, begin), p.zero_walk.RunStride(), p.limits);
        }
    }

    static int64_t Start(const BroadcastWalk& walk, int64_t element) {
        return walk.Place(element / walk.Run()) + element % walk.Run() * walk.RunStride();
    }

    bool signed_, narrow_;
    QuantLoops<T> loops_;
    std::optional<std::vector<T>> constant_result_;
};

SPARSE_QONNX_KERNEL(Quant);

}  // namespace
}  // namespace sparse_qonnx
