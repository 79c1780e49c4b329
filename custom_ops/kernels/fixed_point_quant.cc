// FixedPointQuant (x, signed, integer_bits, fractional_bits, coords?) -> y: quantization to fixed point. The parameters
// broadcast against x; with coords they are maps [H, W, C], read at each slot's pixel.
//
// The parameters are constants in every exported model: powers of two and limits are computed once, when the session is
// made, and a run only reads them.
#include <optional>

#include "fixed_point_table.h"
#include "parallel.h"
#include "registry.h"
#include "slots.h"

namespace sparse_qonnx {
namespace {

template <typename T>
class FixedPointQuant {
  public:
    static constexpr const char* kDomain = "sparse_qonnx.ops";
    static constexpr const char* kName = "FixedPointQuant";
    static constexpr Port kInputs[] = {
        {Port::kValue}, {Port::kValue}, {Port::kValue}, {Port::kValue}, {kInt64, kOptional}};
    static constexpr Port kOutputs[] = {{Port::kValue}};

    explicit FixedPointQuant(const KernelInfo& info)
        : overflow_(ModeFromName<Overflow>("overflow_mode", info.String("overflow_mode", "WRAP"), kOverflowNames)),
          loops_(FixedPoint<T>::Choose(
              ModeFromName<Rounding>("rounding_mode", info.String("rounding_mode", "RND"), kRoundingNames),
              overflow_)) {
        const auto k = info.Constant(1), i = info.Constant(2), f = info.Constant(3), coords = info.Constant(4);
        for (const auto& parameter : {k, i, f}) {
            if (!parameter || parameter->type != ElementType<T>::value) return;
        }
        const bool by_pixel = info.InputCount() > 4 && !(coords && MeansNone(*coords));
        table_.emplace(*k, *i, *f, overflow_, by_pixel);
    }

    void Compute(KernelContext& context) const {
        const Tensor x = context.Input<T>(0, "x");
        auto coords = context.OptionalInput<int64_t>(4, "coords", 3);
        if (coords && MeansNone(*coords)) coords.reset();
        std::optional<QuantTable<T>> run_table;
        if (!table_ || table_->by_pixel != coords.has_value()) {
            const Tensor k = context.Input<T>(1, "signed"), i = context.Input<T>(2, "integer_bits"),
                         f = context.Input<T>(3, "fractional_bits");
            run_table.emplace(k, i, f, overflow_, coords.has_value());
        }
        const QuantTable<T>& table = run_table ? *run_table : *table_;
        if (coords) {
            QuantizeSlots(context, table);
        } else {
            QuantizeAll(context, x, table);
        }
    }

  private:
    // Coordinates (-1, -1) alone say that there are none: function bodies cannot ask whether an input is there.
    static bool MeansNone(const Tensor& coords) {
        return coords.type == kInt64 && coords.shape == Shape{1, 1, 2} && coords.as<int64_t>()[0] == -1 &&
               coords.as<int64_t>()[1] == -1;
    }

    void QuantizeSlots(KernelContext& context, const QuantTable<T>& table) const {
        const SparseMap<T> map(context, 0, 4);
        T* y = context.Output<T>(0, "y", map.features.shape);
        const PixelMap<T> quantizers = table.Map(map.channels);
        const int64_t size = map.slots * map.channels, cost = 10 + 2 * map.slots + 3 * size;
        ParallelFor(context, map.batch, cost, [&](int64_t begin, int64_t end) SPARSE_QONNX_INLINE_LAMBDA {
            for (int64_t event = begin; event < end; ++event) {
                const int64_t* coords = map.Coords(event);
                const int64_t outside =
                    loops_.pixels(map.Features(event), y + event * size, coords, map.slots, map.channels, quantizers);
                if (outside >= 0) {
                    const Image image{static_cast<int64_t>(quantizers.rows), static_cast<int64_t>(quantizers.columns)};
                    image.FailOutside(event, outside, coords[2 * outside], coords[2 * outside + 1]);
                }
            }
        });
    }

    void QuantizeAll(KernelContext& context, const Tensor& x, const QuantTable<T>& table) const {
        if (BroadcastShapes(x.shape, table.shape) != x.shape) {
            Fail("parameters of the shape ", table.shape, " do not broadcast to x ", x.shape);
        }
        T* y = context.Output<T>(0, "y", x.shape);
        const T* values = x.as<T>();
        const BroadcastWalk walk(x.shape, table.shape);
        const int64_t count = x.shape.size(), small = table.shape.size();
        // One array after the other, or one quantizer for all: the whole tensor is one row with a period.
        const bool periodic = small == 1 || (walk.RunStride() == 1 && walk.Run() == small);
        const int64_t run = periodic ? (small == 1 ? 1024 : table.period) : walk.Run();
        const int64_t stride = small == 1 ? 0 : walk.RunStride();
        if (count == 0) return;
        ParallelFor(context, (count + run - 1) / run, 5 + run,
                    [&](int64_t begin, int64_t end) SPARSE_QONNX_INLINE_LAMBDA {
                        for (int64_t i = begin; i < end; ++i) {
                            const T* fields = table.fields.data() + (periodic ? 0 : walk.Place(i));
                            loops_.row(values + i * run, y + i * run, std::min(run, count - i * run), fields,
                                       table.pitch, stride);
                        }
                    });
    }

    Overflow overflow_;
    typename FixedPoint<T>::Loops loops_;
    std::optional<QuantTable<T>> table_;
};

SPARSE_QONNX_KERNEL(FixedPointQuant);

}  // namespace
}  // namespace sparse_qonnx
