// SparseDense (features[B, N, C], coords[B, N, 2], W[F, C, H, W], bias[F]?, three parameters?) -> y[B, F]:
// SparseToDense, Flatten, MatMul and Add, and what follows them up to a quantizer, over the active pixels alone. Made
// by sparse_qonnx/fusion.py, and only where every sum is proven exact: the order of the additions is another one.
#include <optional>

#include "conv_sums.h"
#include "epilogue.h"
#include "parallel.h"
#include "registry.h"
#include "slots.h"

namespace sparse_qonnx {
namespace {

template <typename T>
class SparseDense {
  public:
    static constexpr const char* kDomain = "sparse_qonnx.ops.fused";
    static constexpr const char* kName = "SparseDense";
    static constexpr Port kInputs[] = {{Port::kValue},
                                       {kInt64},
                                       {Port::kValue},
                                       {Port::kValue, kOptional},
                                       {Port::kValue, kOptional},
                                       {Port::kValue, kOptional},
                                       {Port::kValue, kOptional}};
    static constexpr Port kOutputs[] = {{Port::kValue}};

    explicit SparseDense(const KernelInfo& info) : epilogue_(info, 4) {
        const auto w = info.Constant(2);
        if (!w || w->type != ElementType<T>::value || w->shape.rank() != 4 || w->shape.size() < 1) {
            Fail("W must be a constant [F, C, H, W] of the features' type");
        }
        if (w->shape.size() > INT32_MAX) Fail("W ", w->shape, " is larger than is supported");
        filters_ = w->shape[0];
        channels_ = w->shape[1];
        image_ = {w->shape[2], w->shape[3]};
        weights_.emplace(*w, 1);
        if (!weights_->finite) Fail("W must be finite: pixels that are not there add nothing");
        epilogue_.Check(filters_);
    }

    void Compute(KernelContext& context) const {
        const SparseMap<T> map(context, 0, 1);
        if (map.channels != channels_) Fail("features ", map.features.shape, " do not have ", channels_, " channels");
        if (map.slots > INT32_MAX) Fail("features ", map.features.shape, " have more slots than are supported");
        const auto bias = context.OptionalInput<T>(3, "bias", 1);
        if (bias && bias->shape[0] != filters_) Fail("bias ", bias->shape, " does not fit ", filters_, " filters");
        T* y = context.Output<T>(0, "y", {map.batch, filters_});
        const T* bias_values = bias ? bias->template as<T>() : nullptr;
        const int64_t cost = 30 + map.slots * (2 + weights_->tap_size / 8);
        ParallelFor(context, map.batch, cost, [&](int64_t begin, int64_t end) SPARSE_QONNX_INLINE_LAMBDA {
            Arena& arena = Arena::OfThread();
            auto* hits = arena.Take<Hit>(static_cast<size_t>(map.slots));
            T* sums = epilogue_.Scratch(arena, std::max(filters_ + weights_->lanes, channels_ + weights_->lanes));
            T* padded =
                weights_->per_channel ? arena.Take<T>(static_cast<size_t>(map.slots * weights_->lanes)) : nullptr;
            for (int64_t event = begin; event < end; ++event) {
                const int64_t count = Collect(map, event, hits);
                SumHits(*weights_, Features(map, event, padded), hits, count, sums);
                if (bias_values != nullptr) {
                    for (int64_t f = 0; f < filters_; ++f) sums[f] += bias_values[f];
                }
                T* out = y + event * filters_;
                if (epilogue_.IsEmpty()) {
                    std::copy_n(sums, filters_, out);
                } else {
                    epilogue_.Apply(event, sums, 1, filters_, nullptr, out);
                }
            }
        });
    }

  private:
    // The active slots, each with its pixel as the tap it meets.
    SPARSE_QONNX_INLINE int64_t Collect(const SparseMap<T>& map, int64_t event, Hit* hits) const {
        const int64_t* coords = map.Coords(event);
        int64_t count = 0;
        for (int64_t slot = 0; slot < map.slots; ++slot) {
            const int64_t row = coords[2 * slot], column = coords[2 * slot + 1];
            if (!IsActive(row, column)) continue;
            if (!image_.Contains(row, column)) image_.FailOutside(event, slot, row, column);
            hits[count++] = {static_cast<int32_t>(slot), static_cast<int32_t>((row - 1) * image_.width + (column - 1))};
        }
        return count;
    }

    // Sums by channel read whole vectors, so that the rows of one event are copied to where they have room for them.
    SPARSE_QONNX_INLINE Sources<T> Features(const SparseMap<T>& map, int64_t event, T* padded) const {
        const T* features = map.Features(event);
        if (padded == nullptr) return {features, map.channels, map.slots};
        const int64_t lanes = weights_->lanes;
        Zero(padded, map.slots * lanes);
        for (int64_t slot = 0; slot < map.slots; ++slot) {
            for (int64_t c = 0; c < map.channels; ++c) padded[slot * lanes + c] = features[slot * map.channels + c];
        }
        return {padded, lanes, map.slots};
    }

    Epilogue<T> epilogue_;
    int64_t filters_ = 0, channels_ = 0;
    Image image_{};
    std::optional<ConvWeights<T>> weights_;
};

SPARSE_QONNX_KERNEL(SparseDense);

}  // namespace
}  // namespace sparse_qonnx
