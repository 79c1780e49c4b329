// qonnx's Quant (x, scale, zero point, bit width) -> y, with qonnx's arithmetic: divide, shift, clip, round, shift
// back, multiply. A signed width of one bit means the two values -1 and 1.
#include <array>
#include <cmath>
#include <optional>
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

template <typename T>
SPARSE_QONNX_INLINE T RoundTo(Mode mode, T x) {
    constexpr T kHalf = T(0.5);
    switch (mode) {
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
          mode_(ModeFromName<Mode>("rounding_mode", Upper(info.String("rounding_mode", "ROUND")), kModeNames)) {
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
        const int64_t cost = 5 + 2 * parameters.scale_walk.Run();
        ParallelFor(context, parameters.runs, cost, [&](int64_t begin, int64_t end) SPARSE_QONNX_INLINE_LAMBDA {
            for (int64_t run = begin; run < end; ++run) {
                QuantizeRun(parameters, run, y);
            }
        });
    }

  private:
    struct Parameters {
        const T *x, *scale, *zero;
        BroadcastWalk scale_walk, zero_walk;
        int64_t runs;
        T low, high;
        bool bipolar;
    };

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
        BroadcastWalk scale(shape, tensors[1].shape), zero(shape, tensors[2].shape);
        const int64_t count = shape.size(), run = std::max<int64_t>(std::min(scale.Run(), zero.Run()), 1);
        return {tensors[0].as<T>(),  tensors[1].as<T>(), tensors[2].as<T>(), scale, zero, count / run, low, high,
                signed_ && bits == 1};
    }

    void QuantizeRun(const Parameters& p, int64_t index, T* y) const {
        // Both walks end their runs at multiples of the shorter one.
        const int64_t run = std::min(p.scale_walk.Run(), p.zero_walk.Run()), begin = index * run;
        const T* scale = p.scale + Start(p.scale_walk, begin);
        const T* zero = p.zero + Start(p.zero_walk, begin);
        const int64_t scale_stride = p.scale_walk.RunStride(), zero_stride = p.zero_walk.RunStride();
        RunBest([&]() SPARSE_QONNX_INLINE_LAMBDA {
            for (int64_t i = 0; i < run; ++i) {
                const T s = scale[i * scale_stride], z = zero[i * zero_stride];
                T value = p.x[begin + i] / s + z;
                if (p.bipolar) {
                    value = value >= 0 ? T(1) : T(-1);
                } else {
                    value = value > p.high ? p.high : value;
                    value = value < p.low ? p.low : value;
                    value = RoundTo(mode_, value);
                }
                y[begin + i] = (value - z) * s;
            }
        });
    }

    static int64_t Start(const BroadcastWalk& walk, int64_t element) {
        return walk.Place(element / walk.Run()) + element % walk.Run() * walk.RunStride();
    }

    bool signed_, narrow_;
    Mode mode_;
    std::optional<std::vector<T>> constant_result_;
};

SPARSE_QONNX_KERNEL(Quant);

}  // namespace
}  // namespace sparse_qonnx
