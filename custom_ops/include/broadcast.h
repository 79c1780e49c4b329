// Broadcasting of small parameter tensors against a large one.
#ifndef SPARSE_QONNX_BROADCAST_H_
#define SPARSE_QONNX_BROADCAST_H_

#include <algorithm>
#include <cstdint>

#include "tensor.h"

namespace sparse_qonnx {

// Shape of several tensors together; throws where they do not fit.
inline Shape BroadcastShapes(const Shape& a, const Shape& b) {
    Shape result;
    result.resize(std::max(a.rank(), b.rank()));
    for (size_t back = 1; back <= result.rank(); ++back) {
        const int64_t left = back <= a.rank() ? a[a.rank() - back] : 1;
        const int64_t right = back <= b.rank() ? b[b.rank() - back] : 1;
        if (left != right && left != 1 && right != 1) Fail("the shapes ", a, " and ", b, " do not broadcast");
        result.data()[result.rank() - back] = left == 1 ? right : left;
    }
    return result;
}

// Where in a small tensor the element for each element of a large one lies. Adjacent axes along which the small one
// moves evenly are taken together, so that runs are as long as possible.
class BroadcastWalk {
  public:
    BroadcastWalk(const Shape& large, const Shape& small) {
        int64_t step = 1;
        for (size_t back = 1; back <= large.rank(); ++back) {
            const int64_t size = large[large.rank() - back];
            const int64_t own = back <= small.rank() ? small[small.rank() - back] : 1;
            Prepend(size, own == 1 ? 0 : step);
            step *= own;
        }
        if (axes_ == 0) Prepend(1, 0);
    }

    // Elements in a row along which the small tensor moves by RunStride (0 or 1) each.
    int64_t Run() const { return sizes_[0]; }
    int64_t RunStride() const { return strides_[0]; }

    // Place in the small tensor of the first element of run number `run`.
    int64_t Place(int64_t run) const {
        int64_t place = 0;
        for (size_t axis = 1; axis < axes_; ++axis) {
            place += run % sizes_[axis] * strides_[axis];
            run /= sizes_[axis];
        }
        return place;
    }

  private:
    // Axes are kept innermost first.
    void Prepend(int64_t size, int64_t stride) {
        if (size == 1) return;
        if (axes_ > 0 && stride == strides_[axes_ - 1] * sizes_[axes_ - 1]) {
            sizes_[axes_ - 1] *= size;
            return;
        }
        sizes_[axes_] = size;
        strides_[axes_++] = stride;
    }

    int64_t sizes_[Shape::kMaxRank] = {1};
    int64_t strides_[Shape::kMaxRank] = {0};
    size_t axes_ = 0;
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_BROADCAST_H_
