// SparseToDense (features[B, N, C], coords[B, N, 2]) -> [B, H, W, C]: every slot at its pixel, 0 elsewhere.
#include "parallel.h"
#include "registry.h"
#include "slots.h"

namespace sparse_qonnx {
namespace {

template <typename T>
class SparseToDense {
  public:
    static constexpr const char* kDomain = "sparse_qonnx.ops";
    static constexpr const char* kName = "SparseToDense";
    static constexpr Port kInputs[] = {{Port::kValue}, {kInt64}};
    static constexpr Port kOutputs[] = {{Port::kValue}};

    explicit SparseToDense(const KernelInfo& info) {
        const auto shape = info.Sizes("spatial_shape", 2);
        image_ = {shape[0], shape[1]};
    }

    void Compute(KernelContext& context) const {
        const SparseMap<T> map(context, 0, 1);
        const Shape shape{map.batch, image_.height, image_.width, map.channels};
        T* dense = context.Output<T>(0, "dense", shape);
        const int64_t size = image_.height * image_.width * map.channels;
        const int64_t cost = 20 + size / 16 + 3 * map.slots * (1 + map.channels);
        ParallelFor(context, map.batch, cost, [&](int64_t begin, int64_t end) SPARSE_QONNX_INLINE_LAMBDA {
            for (int64_t event = begin; event < end; ++event) {
                Scatter(map, event, dense + event * size);
            }
        });
    }

  private:
    SPARSE_QONNX_INLINE void Scatter(const SparseMap<T>& map, int64_t event, T* dense) const {
        const int64_t channels = map.channels;
        const T* features = map.Features(event);
        const int64_t* coords = map.Coords(event);
        Zero(dense, image_.height * image_.width * channels);
        for (int64_t slot = 0; slot < map.slots; ++slot) {
            const int64_t row = coords[2 * slot], column = coords[2 * slot + 1];
            if (!IsActive(row, column)) continue;
            if (!image_.Contains(row, column)) image_.FailOutside(event, slot, row, column);
            T* pixel = dense + ((row - 1) * image_.width + (column - 1)) * channels;
            for (int64_t c = 0; c < channels; ++c) {
                pixel[c] = features[slot * channels + c];
            }
        }
    }

    Image image_{};
};

SPARSE_QONNX_KERNEL(SparseToDense);

}  // namespace
}  // namespace sparse_qonnx
