// InputReduce (X[B, H, W, C]) -> (features[B, N, C], coords[B, N, 2]): the first N pixels in raster order whose first
// channel exceeds the threshold.
//
// The image is read once, up to the N-th hit: that is the limit of what any implementation can do. To stay near it, the
// pixels are compared in blocks of 64, without a branch that depends on the data (a mispredicted branch a block would
// cost more than the comparisons): first whether a block has a hit at all, then the bit masks of those that do, then
// the hits out of the masks, in one loop.
#include <algorithm>

#include "block_scan.h"
#include "parallel.h"
#include "registry.h"

namespace sparse_qonnx {
namespace {

// Blocks looked at before their hits are taken out; bounds how far beyond the N-th hit the image is read.
constexpr int kGroup = 64;

// Divides pixel numbers by the width of the image: by multiplication where that is exact, as it is for every p with
// p * width <= 2^32. Divisions would take longer than everything else about a hit.
class RowOf {
  public:
    SPARSE_QONNX_INLINE RowOf(int64_t pixels, int64_t width)
        : width_(width),
          inverse_(pixels <= kExact && width <= kExact ? ((uint64_t{1} << 32) + width - 1) / width : 0) {}

    SPARSE_QONNX_INLINE int64_t operator()(int64_t pixel) const {
        if (inverse_ == 0) return pixel / width_;
        return static_cast<int64_t>((static_cast<uint64_t>(pixel) * inverse_) >> 32);
    }

  private:
    static constexpr int64_t kExact = 1 << 16;
    int64_t width_;
    uint64_t inverse_;
};

template <typename T>
class InputReduce {
  public:
    static constexpr const char* kDomain = "sparse_qonnx.ops";
    static constexpr const char* kName = "InputReduce";
    static constexpr Port kInputs[] = {{Port::kValue}};
    static constexpr Port kOutputs[] = {{Port::kValue}, {kInt64}};

    explicit InputReduce(const KernelInfo& info)
        : slots_(info.Int("n_max_pixels")), threshold_(static_cast<T>(info.Float("threshold"))) {
        if (slots_ < 1) Fail("n_max_pixels is ", slots_, "; it must be at least 1");
    }

    void Compute(KernelContext& context) const {
        const Tensor x = context.Input<T>(0, "X", 4);
        const int64_t batch = x.shape[0], height = x.shape[1], width = x.shape[2], channels = x.shape[3];
        const Shape feature_shape{batch, slots_, channels}, coord_shape{batch, slots_, 2};
        auto* features = context.Output<T>(0, "features", feature_shape);
        auto* coords = context.Output<int64_t>(1, "coords", coord_shape);
        const int64_t pixels = channels == 0 ? 0 : height * width;  // no channel, no pixel above the threshold
        const T* image = x.as<T>();
        ParallelFor(context, batch, 100 + pixels * channels / 8,
                    [&](int64_t begin, int64_t end) SPARSE_QONNX_INLINE_LAMBDA {
                        for (int64_t event = begin; event < end; ++event) {
                            Reduce(image + event * pixels * channels, pixels, width, channels,
                                   features + event * slots_ * channels, coords + event * slots_ * 2);
                        }
                    });
    }

  private:
    SPARSE_QONNX_INLINE void Reduce(const T* image, int64_t pixels, int64_t width, int64_t channels, T* features,
                                    int64_t* coords) const {
        // Copies: a store to the outputs might change members, for all the compiler knows.
        const int64_t slots = slots_;
        const T threshold = threshold_;
        const RowOf row_of(pixels, std::max<int64_t>(width, 1));
        int64_t found = 0;
        const auto keep = [&](int64_t pixel) SPARSE_QONNX_INLINE_LAMBDA {
            const int64_t row = row_of(pixel);
            coords[2 * found] = row + 1;
            coords[2 * found + 1] = pixel - row * width + 1;
            for (int64_t c = 0; c < channels; ++c) {
                features[found * channels + c] = image[pixel * channels + c];
            }
            ++found;
        };
        int64_t start = 0;
        while (pixels - start >= kBlock && found < slots) {
            uint64_t masks[kGroup + 1];
            int64_t starts[kGroup + 1];
            int filled = 0;
            const auto blocks = static_cast<int>(std::min<int64_t>((pixels - start) / kBlock, kGroup));
            const T* first = image + start * channels;
            // With several channels, values of the first one do not lie side by side.
            uint64_t occupied =
                channels == 1 ? OccupiedBlocks(first, blocks, threshold) : ~uint64_t{0} >> (64 - blocks);
            for (; occupied != 0; occupied &= occupied - 1) {
                const int64_t block = __builtin_ctzll(occupied);
                const T* values = first + block * kBlock * channels;
                starts[filled] = start + block * kBlock;
                masks[filled] = channels == 1 ? BlockMask(values, threshold) : BlockMask(values, channels, threshold);
                filled += masks[filled] != 0;
            }
            start += blocks * kBlock;
            for (int block = 0; block < filled && found < slots;) {
                keep(starts[block] + __builtin_ctzll(masks[block]));
                masks[block] &= masks[block] - 1;
                block += masks[block] == 0;
            }
        }
        for (; start < pixels && found < slots; ++start) {
            if (image[start * channels] > threshold) keep(start);
        }
        Zero(features + found * channels, (slots - found) * channels);
        Zero(coords + 2 * found, 2 * (slots - found));
    }

    int64_t slots_;
    T threshold_;
};

SPARSE_QONNX_KERNEL(InputReduce);

}  // namespace
}  // namespace sparse_qonnx
