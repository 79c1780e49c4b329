// SparseConv (features[B, N, C], coords[B, N, 2], W[F, C/group, kh, kw], bias[F]?) -> features[B, N, F]: a convolution
// with stride 1 and Keras's "same" padding whose output lives on the same pixels as its input. The bias of a filter is
// added only where that filter's sum is not 0; empty slots give 0.
#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

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
                T* biased = epilogue_.IsEmpty() ? result : worker.Biased();
                worker.Run(event, biased);
                if (!epilogue_.IsEmpty()) {
                    epilogue_.Apply(event, biased, map.slots, filters, map.Coords(event), result);
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
            const size_t size = slots * static_cast<size_t>(filters);
            raw_ = arena_.template Take<T>(size + ConvWeights<T>::kLanes);
            biased_ = arena_.template Take<T>(size);
            bias_ = arena_.template Take<T>(size);
            for (int64_t slot = 0; slot < map.slots; ++slot) {
                for (int64_t f = 0; f < filters; ++f) bias_[slot * filters + f] = bias == nullptr ? T(0) : bias[f];
            }
        }

        T* Biased() { return biased_; }  // room for one event's result

        SPARSE_QONNX_INLINE void Run(int64_t event, T* out) {
            Collect(event);
            if (!(plain_ && source_count_ <= kAllPairs && RunAllPairs())) RunHits();
            // All slots at once, in whole vectors. A selection, not a branch: which sums are 0 cannot be predicted.
            const T *raw = raw_, *bias = bias_;
            const int64_t size = map_.slots * filters_;
            for (int64_t i = 0; i < size; ++i) {
                const T added = raw[i] + bias[i];
                out[i] = raw[i] == 0 ? raw[i] : added;
            }
        }

      private:
        static constexpr int64_t kAllPairs = 24;  // up to this many sources, multiplying every pair is the fastest

        SPARSE_QONNX_INLINE void RunHits() {
            Zero(raw_, map_.slots * filters_);
            if (grid_.Enter(targets_, target_count_, source_pixels_, source_count_)) {
                for (int64_t t = 0; t < target_count_; ++t) {
                    Sum(targets_[t], hits_, grid_.Find(targets_[t], hits_));
                }
                grid_.Leave(source_pixels_, source_count_);
                return;
            }
            neighbours_.ForEach(targets_, target_count_, source_pixels_, source_count_,
                                [&](const Pixel& target, const Hit* hits, int64_t count)
                                    SPARSE_QONNX_INLINE_LAMBDA { Sum(target, hits, count); });
        }

        SPARSE_QONNX_INLINE void Sum(const Pixel& target, const Hit* hits, int64_t count) {
            SumHits(weights_, {features_, stride_, source_count_}, hits, count, sums_);
            std::copy_n(sums_, filters_, raw_ + target.slot * filters_);
        }

        SPARSE_QONNX_INLINE void Collect(int64_t event) {
            switch (stride_ == 4 ? map_.channels : 0) {
                case 1:
                    return Collect<1>(event);
                case 2:
                    return Collect<2>(event);
                case 3:
                    return Collect<3>(event);
                case 4:
                    return Collect<4>(event);
                default:
                    return Collect<0>(event);
            }
        }

        // Lists the active slots, and among them those that contribute to any sum, with their features. `kChannels` is
        // their number, or 0 for any number.
        template <int kChannels>
        SPARSE_QONNX_INLINE void Collect(int64_t event) {
            const int64_t channels = kChannels == 0 ? map_.channels : kChannels;
            const int64_t stride = kChannels == 0 ? stride_ : 4;
            const T* features = map_.Features(event);
            const int64_t* coords = map_.Coords(event);
            // Copies: a store to a list might change members, for all the compiler knows.
            const NearbyPixels<T> nearby = nearby_;
            Pixel *targets = targets_, *pixels = source_pixels_;
            int64_t target_count = 0, source_count = 0;
            const bool keep_all = !weights_.finite;
            uint64_t all_coords = 0;
            bool finite = true;
            for (int64_t slot = 0; slot < map_.slots; ++slot, features += channels) {
                const int64_t row = coords[2 * slot], column = coords[2 * slot + 1];
                if (!IsActive(row, column)) continue;
                all_coords |= static_cast<uint64_t>(row) | static_cast<uint64_t>(column);
                targets[target_count++] = {row, column, slot};
                T* copy = nearby.features + source_count * stride;
                bool any = keep_all;
                for (int64_t c = 0; c < channels; ++c) {
                    copy[c] = features[c];
                    any |= !(features[c] == 0);
                    finite &= Abs(features[c]) <= std::numeric_limits<T>::max();
                }
                for (int64_t c = channels; c < stride; ++c) copy[c] = 0;
                pixels[source_count] = {row, column, source_count};
                nearby.rows[source_count] = static_cast<int32_t>(row);
                nearby.columns[source_count] = static_cast<int32_t>(column);
                source_count += any;
            }
            target_count_ = target_count;
            source_count_ = source_count;
            plain_ = all_coords < uint64_t{NearbyPixels<T>::kLimit} && finite && weights_.finite;
        }

        // Small vectors and few pixels; false where there is no such loop for these weights.
        SPARSE_QONNX_INLINE bool RunAllPairs() {
            if (window_.row_dilation != 1 || window_.column_dilation != 1 || weights_.lanes > 4 || stride_ > 4) {
                return false;
            }
            if ((window_.Taps() + 1) * weights_.tap_size >= NearbyPixels<T>::kLimit) return false;
            nearby_.FillUp(source_count_);
            if (weights_.per_channel) return ForAllPairs<0>();
            if (weights_.groups != 1) return false;
            switch (weights_.group_channels) {
                case 1:
                    return ForAllPairs<1>();
                case 2:
                    return ForAllPairs<2>();
                case 3:
                    return ForAllPairs<3>();
                case 4:
                    return ForAllPairs<4>();
                default:
                    return false;
            }
        }

        // Slots come in their order, so that what a whole vector writes too much is written over by the next one.
        template <int kChannels>
        SPARSE_QONNX_INLINE bool ForAllPairs() {
            constexpr int kLanes = NearbyPixels<T>::kLanes;
            int64_t next = 0;
            for (int64_t t = 0; t < target_count_; ++t) {
                const Pixel& target = targets_[t];
                T sums[kLanes];
                SumAllPairs<kChannels>(weights_, window_, nearby_, source_count_, static_cast<int32_t>(target.row),
                                       static_cast<int32_t>(target.column), sums);
                Zero(raw_ + next * filters_, (target.slot - next) * filters_);
                T* raw = raw_ + target.slot * filters_;
                if (kChannels != 0) {
                    std::memcpy(raw, sums, sizeof(sums));
                } else if (weights_.groups == 1) {
                    *raw = (sums[0] + sums[1]) + (sums[2] + sums[3]);  // what the lanes are filled up with is 0
                } else {
                    AddUpGroups(weights_, sums, raw);
                }
                next = target.slot + 1;
            }
            Zero(raw_ + next * filters_, (map_.slots - next) * filters_);
            return true;
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
        T* raw_;     // sums of an event, before the bias
        T* biased_;  // and after it, where more follows
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
