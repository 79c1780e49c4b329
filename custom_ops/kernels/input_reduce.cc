// InputReduce (X[B, H, W, C]) -> (features[B, N, C], coords[B, N, 2]): the first N pixels in raster order whose first
// channel exceeds the threshold.
//
// The image is read once, up to the N-th hit: that is the limit of what any implementation can do. To stay near it, the
// pixels are compared in blocks of 64, without a branch that depends on the data (a mispredicted branch a block would
// cost more than the comparisons): first whether a block has a hit at all, then the bit masks of those that do, then
// the hits out of the masks, in one loop.
#include "block_mask.h"
#include "parallel.h"
#include "registry.h"

namespace sparse_qonnx {
namespace {

// Blocks looked at before their hits are taken out; bounds how far beyond the N-th hit the image is read.
constexpr int kGroup = 64;

// The processor's own prefetching ends with each page; images are read to the end, so the next page is always wanted.
template <typename T>
SPARSE_QONNX_INLINE void Prefetch(const T* values, int64_t count) {
    const uintptr_t ahead = reinterpret_cast<uintptr_t>(values) + 4096;
    for (uintptr_t byte = 0; byte < static_cast<uintptr_t>(count) * sizeof(T); byte += 64) {
        __builtin_prefetch(reinterpret_cast<const void*>(ahead + byte));
    }
}

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
        int64_t found = 0;
        const auto keep = [&](int64_t pixel) SPARSE_QONNX_INLINE_LAMBDA {
            // 32-bit division is several times faster, and an image has fewer pixels than that.
            const bool small = pixels <= UINT32_MAX;
            const int64_t row = small ? static_cast<uint32_t>(pixel) / static_cast<uint32_t>(width) : pixel / width;
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
            const int64_t blocks = std::min<int64_t>((pixels - start) / kBlock, kGroup);
            for (int64_t block = 0; block < blocks; ++block, start += kBlock) {
                const T* first = image + start * channels;
                Prefetch(first, kBlock * channels);
                if (__builtin_expect(channels == 1 && !AnyAbove(first, threshold), 1)) continue;
                starts[filled] = start;
                masks[filled] = channels == 1 ? BlockMask(first, threshold) : BlockMask(first, channels, threshold);
                filled += masks[filled] != 0;
            }
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
