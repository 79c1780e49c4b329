// qonnx's Quant (x, scale, zero point, bit width) -> y, with qonnx's arithmetic: divide, shift, clip, round, shift
// back, multiply. A signed width of one bit means the two values -1 and 1.
#include <algorithm>
#include <optional>
#include <vector>

#include "broadcast.h"
#include "parallel.h"
#include "quant_loops.h"
#include "registry.h"

namespace sparse_qonnx {
namespace {

template <typename T>
class Quant {
  public:
    static constexpr const char* kDomain = "qonnx.custom_op.general";
    static constexpr const char* kName = "Quant";
    static constexpr Port kInputs[] = {{Port::kValue}, {Port::kValue}, {Port::kValue}, {Port::kValue}};
    static constexpr Port kOutputs[] = {{Port::kValue}};

    explicit Quant(const KernelInfo& info) : attributes_(info) {
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
                attributes_.LimitsOf(bits)};
    }

    void QuantizeRun(const Parameters& p, int64_t index, T* y) const {
        const int64_t begin = index * p.run, length = std::min(p.run, p.count - begin);
        if (p.uniform) {
            attributes_.loops.uniform(p.x + begin, y + begin, length, *p.scale, *p.zero, p.limits);
        } else {
            attributes_.loops.each(p.x + begin, y + begin, length, p.scale + Start(p.scale_walk, begin),
                                   p.scale_walk.RunStride(), p.zero + Start(p.zero_walk, begin),
                                   p.zero_walk.RunStride(), p.limits);
        }
    }

    static int64_t Start(const BroadcastWalk& walk, int64_t element) {
        return walk.Place(element / walk.Run()) + element % walk.Run() * walk.RunStride();
    }

    QuantAttributes<T> attributes_;
    std::optional<std::vector<T>> constant_result_;
};

SPARSE_QONNX_KERNEL(Quant);

}  // namespace
}  // namespace sparse_qonnx
