// SparseConv (features[B, N, C], coords[B, N, 2], W[F, C/group, kh, kw], bias[F]?) -> features[B, N, F]: a convolution
// with stride 1 and Keras's "same" padding whose output lives on the same pixels as its input. The bias of a filter is
// added only where that filter's sum is not 0; empty slots give 0.
#include <optional>

#include "conv_sums.h"
#include "epilogue.h"
#include "parallel.h"
#include "pixel_grid.h"
#include "registry.h"
#include "slots.h"

namespace sparse_qonnx {
namespace {

template <typename T>
class SparseConv {
  public:
    static constexpr const char* kDomain = "sparse_qonnx.ops";
    static constexpr const char* kName = "SparseConv";
    static constexpr Port kInputs[] = {{Port::kValue}, {kInt64}, {Port::kValue}, {Port::kValue, kOptional}};
    static constexpr Port kOutputs[] = {{Port::kValue}};

    explicit SparseConv(const KernelInfo& info, Epilogue<T> epilogue = {})
        : group_(info.Int("group", 1)), epilogue_(std::move(epilogue)) {
        const auto kernel = info.Sizes("kernel_shape", 2);
        const auto dilations = info.Sizes("dilations", 2, {1, 1});
        if (group_ < 1) Fail("group is ", group_, "; it must be at least 1");
        CheckAddressable("the kernel", {kernel[0], kernel[1]});
        CheckAddressable("the dilated kernel", {kernel[0], dilations[0]});
        CheckAddressable("the dilated kernel", {kernel[1], dilations[1]});
        window_ = {kernel[0], kernel[1], dilations[0], dilations[1]};
        if (const auto w = info.Constant(2)) {
            CheckWeights(*w);
            constant_weights_.emplace(*w, group_);
        }
    }

    void Compute(KernelContext& context) const {
        const SparseMap<T> map(context, 0, 1);
        const Tensor w = context.Input<T>(2, "W", 4);
        CheckWeights(w);
        if (w.shape[1] * group_ != map.channels) {
            Fail("W ", w.shape, " with group ", group_, " takes ", w.shape[1] * group_, " channels, and features ",
                 map.features.shape, " have ", map.channels);
        }
        if (map.slots > INT32_MAX) Fail("features ", map.features.shape, " have more slots than are supported");
        const int64_t filters = w.shape[0];
        const auto bias = context.OptionalInput<T>(3, "bias", 1);
        if (bias && bias->shape[0] != filters) Fail("bias ", bias->shape, " does not fit W ", w.shape);
        std::optional<ConvWeights<T>> run_weights;
        if (!constant_weights_) run_weights.emplace(w, group_);
        const ConvWeights<T>& weights = constant_weights_ ? *constant_weights_ : *run_weights;
        epilogue_.Check(filters);
        T* out = context.Output<T>(0, "features", {map.batch, map.slots, filters});
        const T* bias_values = bias ? bias->template as<T>() : nullptr;
        // Guessed at: half of the slots see five neighbours.
        const int64_t cost = 50 + map.slots * (5 + std::min<int64_t>(map.slots, 40) / 2 + weights.tap_size);
        ParallelFor(context, map.batch, cost, [&](int64_t begin, int64_t end) SPARSE_QONNX_INLINE_LAMBDA {
            Worker worker(map, window_, weights, bias_values, filters);
            for (int64_t event = begin; event < end; ++event) {
                T* result = out + event * map.slots * filters;
                worker.Run(event, epilogue_.IsEmpty() ? result : worker.Scratch());
                if (!epilogue_.IsEmpty()) {
                    epilogue_.Apply(event, worker.Scratch(), map.slots, filters, map.Coords(event), result);
                }
            }
        });
    }

  private:
    void CheckWeights(const Tensor& w) const {
        if (w.type != ElementType<T>::value || w.shape.rank() != 4) {
            Fail("W has the shape ", w.shape, "; [F, C/group, kh, kw] of the features' type is needed");
        }
        if (w.shape[2] != window_.height || w.shape[3] != window_.width) {
            Fail("W ", w.shape, " does not have the kernel_shape ", Shape{window_.height, window_.width});
        }
        if (w.shape[0] < 1 || w.shape[1] < 1 || w.shape[0] % group_ != 0) {
            Fail("W ", w.shape, " cannot be split into ", group_, " groups of filters");
        }
    }

    // What one thread needs, event after event.
    class Worker {
      public:
        Worker(const SparseMap<T>& map, const Window& window, const ConvWeights<T>& weights, const T* bias,
               int64_t filters)
            : map_(map),
              window_(window),
              weights_(weights),
              filters_(filters),
              stride_((map.channels + ConvWeights<T>::kLanes - 1) / ConvWeights<T>::kLanes * ConvWeights<T>::kLanes),
              arena_(Arena::OfThread()),
              neighbours_(window, arena_, map.slots),
              grid_(window, arena_, map.slots) {
            const auto slots = static_cast<size_t>(map.slots);
            hits_ = arena_.template Take<Hit>(slots + 1);
            targets_ = arena_.template Take<Pixel>(slots);
            source_pixels_ = arena_.template Take<Pixel>(slots);
            features_ = arena_.template Take<T>((slots + NearbyPixels<T>::kStep) * static_cast<size_t>(stride_));
            sums_ = arena_.template Take<T>(
                static_cast<size_t>(std::max(map.channels, filters + weights.lanes) + ConvWeights<T>::kLanes));
            const size_t filled = slots + NearbyPixels<T>::kStep;
            nearby_ = {arena_.template Take<int32_t>(filled), arena_.template Take<int32_t>(filled), features_};
            bias_ = arena_.template Take<T>(static_cast<size_t>(filters));
            for (int64_t f = 0; f < filters; ++f) bias_[f] = bias == nullptr ? T(0) : bias[f];
            scratch_ = arena_.template Take<T>(slots * static_cast<size_t>(filters));
        }

        T* Scratch() { return scratch_; }  // as large as one event's result

        SPARSE_QONNX_INLINE void Run(int64_t event, T* out) {
            Zero(out, map_.slots * filters_);
            Collect(event);
            if (plain_ && source_count_ <= kAllPairs && RunAllPairs(out)) return;
            if (grid_.Enter(targets_, target_count_, source_pixels_, source_count_)) {
                for (int64_t t = 0; t < target_count_; ++t) {
                    Sum(targets_[t], hits_, grid_.Find(targets_[t], hits_), out);
                }
                grid_.Leave(source_pixels_, source_count_);
                return;
            }
            neighbours_.ForEach(targets_, target_count_, source_pixels_, source_count_,
                                [&](const Pixel& target, const Hit* hits, int64_t count)
                                    SPARSE_QONNX_INLINE_LAMBDA { Sum(target, hits, count, out); });
        }

      private:
        static constexpr int64_t kAllPairs = 24;  // up to this many sources, multiplying every pair is the fastest

        SPARSE_QONNX_INLINE void Sum(const Pixel& target, const Hit* hits, int64_t count, T* out) {
            SumHits(weights_, {features_, stride_, source_count_}, hits, count, sums_);
            Store(out + target.slot * filters_);
        }

        // Lists the active slots, and among them those that contribute to any sum, with their features.
        SPARSE_QONNX_INLINE void Collect(int64_t event) {
            const T* features = map_.Features(event);
            const int64_t* coords = map_.Coords(event);
            target_count_ = source_count_ = 0;
            uint64_t all_coords = 0;
            T finite = 0;
            for (int64_t slot = 0; slot < map_.slots; ++slot) {
                const int64_t row = coords[2 * slot], column = coords[2 * slot + 1];
                if (!IsActive(row, column)) continue;
                all_coords |= static_cast<uint64_t>(row) | static_cast<uint64_t>(column);
                targets_[target_count_++] = {row, column, slot};
                T* copy = features_ + source_count_ * stride_;
                bool any = !weights_.finite;
                for (int64_t c = 0; c < map_.channels; ++c) {
                    const T value = features[slot * map_.channels + c];
                    copy[c] = value;
                    any |= value != 0;
                    finite += value - value;  // 0, or NaN from the first value that is not finite
                }
                for (int64_t c = map_.channels; c < stride_; ++c) copy[c] = 0;
                source_pixels_[source_count_] = {row, column, source_count_};
                nearby_.rows[source_count_] = static_cast<int32_t>(row);
                nearby_.columns[source_count_] = static_cast<int32_t>(column);
                source_count_ += any;
            }
            plain_ = all_coords < uint64_t{NearbyPixels<T>::kLimit} && finite == 0 && weights_.finite;
        }

        // Small vectors and few pixels; false where there is no such loop for these weights.
        SPARSE_QONNX_INLINE bool RunAllPairs(T* out) {
            if (window_.row_dilation != 1 || window_.column_dilation != 1 || weights_.lanes > 4 || stride_ > 4) {
                return false;
            }
            if ((window_.Taps() + 1) * weights_.tap_size >= NearbyPixels<T>::kLimit) return false;
            nearby_.FillUp(source_count_);
            if (weights_.per_channel) return ForAllPairs<0>(out);
            if (weights_.groups != 1) return false;
            switch (weights_.group_channels) {
                case 1:
                    return ForAllPairs<1>(out);
                case 2:
                    return ForAllPairs<2>(out);
                case 3:
                    return ForAllPairs<3>(out);
                case 4:
                    return ForAllPairs<4>(out);
                default:
                    return false;
            }
        }

        template <int kChannels>
        SPARSE_QONNX_INLINE bool ForAllPairs(T* out) {
            for (int64_t t = 0; t < target_count_; ++t) {
                const Pixel& target = targets_[t];
                SumAllPairs<kChannels>(weights_, window_, nearby_, source_count_, static_cast<int32_t>(target.row),
                                       static_cast<int32_t>(target.column), sums_);
                if (kChannels == 0) AddUpGroups(weights_, sums_);
                Store(out + target.slot * filters_);
            }
            return true;
        }

        // A selection, not a branch: which sums are 0 cannot be predicted.
        SPARSE_QONNX_INLINE void Store(T* out) const {
            for (int64_t f = 0; f < filters_; ++f) {
                out[f] = sums_[f] + (sums_[f] != 0 ? bias_[f] : T(0));
            }
        }

        const SparseMap<T>& map_;
        const Window& window_;
        const ConvWeights<T>& weights_;
        T* bias_;
        int64_t filters_, stride_;
        Arena& arena_;
        Neighbours neighbours_;
        PixelGrid grid_;
        Hit* hits_;
        Pixel* targets_;
        Pixel* source_pixels_;
        T* features_;
        T* sums_;
        T* scratch_;
        NearbyPixels<T> nearby_{};
        int64_t target_count_ = 0, source_count_ = 0;
        bool plain_ = false;
    };

    int64_t group_;
    Window window_{};
    std::optional<ConvWeights<T>> constant_weights_;
    Epilogue<T> epilogue_;
};

// With what follows it up to a quantizer; its parameters are inputs 4 to 6. Made by sparse_qonnx/fusion.py.
template <typename T>
class FusedSparseConv : public SparseConv<T> {
  public:
    static constexpr const char* kDomain = "sparse_qonnx.ops.fused";
    static constexpr Port kInputs[] = {{Port::kValue},
                                       {kInt64},
                                       {Port::kValue},
                                       {Port::kValue, kOptional},
                                       {Port::kValue, kOptional},
                                       {Port::kValue, kOptional},
                                       {Port::kValue, kOptional}};

    explicit FusedSparseConv(const KernelInfo& info) : SparseConv<T>(info, Epilogue<T>(info, 4)) {}
};

SPARSE_QONNX_KERNEL(SparseConv);
SPARSE_QONNX_KERNEL(FusedSparseConv);

}  // namespace
}  // namespace sparse_qonnx
