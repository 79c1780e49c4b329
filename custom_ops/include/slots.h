// The two tensors of a sparse feature map: features [B, N, C] and coords int64 [B, N, 2].
#ifndef SPARSE_QONNX_SLOTS_H_
#define SPARSE_QONNX_SLOTS_H_

#include <cstdint>

#include "isa.h"
#include "kernel.h"

namespace sparse_qonnx {

// Reads both inputs of a sparse map and checks that they belong together.
template <typename T>
struct SparseMap {
    SparseMap(const KernelContext& context, size_t features_index, size_t coords_index)
        : features(context.Input<T>(features_index, "features", 3)),
          coords(context.Input<int64_t>(coords_index, "coords", 3)),
          batch(features.shape[0]),
          slots(features.shape[1]),
          channels(features.shape[2]) {
        if (coords.shape != Shape{batch, slots, 2}) {
            Fail("features ", features.shape, " need coords ", Shape{batch, slots, 2}, ", and coords are ",
                 coords.shape);
        }
    }

    const T* Features(int64_t event) const { return features.template as<T>() + event * slots * channels; }
    const int64_t* Coords(int64_t event) const { return coords.template as<int64_t>() + event * slots * 2; }

    Tensor features, coords;
    int64_t batch, slots, channels;
};

// (0, 0) marks an empty slot; nothing else does.
SPARSE_QONNX_INLINE bool IsActive(int64_t row, int64_t column) { return (row | column) != 0; }

// Height and width of the dense image; coordinates count from 1.
struct Image {
    int64_t height, width;

    // One unsigned comparison each covers both ends of the range, and coordinates come from the outside.
    SPARSE_QONNX_INLINE bool Contains(int64_t row, int64_t column) const {
        return static_cast<uint64_t>(row) - 1 < static_cast<uint64_t>(height) &&
               static_cast<uint64_t>(column) - 1 < static_cast<uint64_t>(width);
    }

    [[noreturn, gnu::noinline, gnu::cold]] void FailOutside(int64_t event, int64_t slot, int64_t row,
                                                            int64_t column) const {
        Fail("coords[", event, ", ", slot, "] = (", row, ", ", column, ") lies outside the image of ", height, " x ",
             width, " pixels (rows and columns count from 1; (0, 0) marks an empty slot)");
    }
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SLOTS_H_
