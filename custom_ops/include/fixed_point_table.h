// All quantizers of a FixedPointQuant node, prepared: powers of two and limits are computed once, a run only reads
// them.
#ifndef SPARSE_QONNX_FIXED_POINT_TABLE_H_
#define SPARSE_QONNX_FIXED_POINT_TABLE_H_

#include <vector>

#include "broadcast.h"
#include "fixed_point.h"

namespace sparse_qonnx {

template <typename T>
class QuantTable {
  public:
    QuantTable(const Tensor& is_signed, const Tensor& integer, const Tensor& fractional, Overflow overflow, bool maps)
        : shape(BroadcastShapes(BroadcastShapes(is_signed.shape, integer.shape), fractional.shape)),
          by_pixel(maps),
          size_(shape.size()) {
        CheckAddressable("the quantizers' parameters", shape);
        if (size_ < 1) Fail("the quantizers' parameters have the shape ", shape, "; none may be empty");
        // Short rows are repeated, so that they too fill whole vectors.
        period = maps || size_ >= kShort ? size_ : size_ * ((kShort + size_ - 1) / size_);
        channels_ = shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
        pitch = maps ? channels_ : period;
        fields.resize(static_cast<size_t>(kFields * period));
        Fill(is_signed, integer, fractional, overflow);
    }

    // The limits of coordinates are the sizes of the maps; an axis of size 1 is the same everywhere, hence unlimited.
    PixelMap<T> Map(int64_t channels) const {
        if (shape.rank() > 3) Fail("the quantizers' maps have the shape ", shape, "; [H, W, C] is needed");
        Shape full{1, 1, 1};
        std::copy(shape.data(), shape.data() + shape.rank(), full.data() + (3 - shape.rank()));
        if (full[2] != 1 && full[2] != channels) {
            Fail("the quantizers' maps ", shape, " do not fit ", channels, " channels");
        }
        const auto limit = [](int64_t size) { return size == 1 ? uint64_t{INT64_MAX} : static_cast<uint64_t>(size); };
        const int64_t pixel = full[2] * kFields;
        return {fields.data(),
                limit(full[0]),
                limit(full[1]),
                full[0] == 1 ? 0 : full[1] * pixel,
                full[1] == 1 ? 0 : pixel,
                full[2] == 1 ? 0 : 1,
                pitch};
    }

    Shape shape;
    bool by_pixel;   // all fields of a pixel together, instead of each field on its own
    int64_t period;  // length of a field's array when not by pixel; a multiple of the shape's size
    int64_t pitch;
    std::vector<T> fields;

  private:
    static constexpr int64_t kShort = 64;

    void Fill(const Tensor& is_signed, const Tensor& integer, const Tensor& fractional, Overflow overflow) {
        const BroadcastWalk walks[] = {{shape, is_signed.shape}, {shape, integer.shape}, {shape, fractional.shape}};
        const T* values[] = {is_signed.as<T>(), integer.as<T>(), fractional.as<T>()};
        T now[3];
        for (int64_t place = 0; place < period; ++place) {
            for (int i = 0; i < 3; ++i) {
                const int64_t index = place % size_, run = index / walks[i].Run();
                now[i] = values[i][walks[i].Place(run) + index % walks[i].Run() * walks[i].RunStride()];
            }
            const int64_t start = by_pixel ? place / channels_ * channels_ * kFields + place % channels_ : place;
            FixedPoint<T>::Prepare(now[0], now[1], now[2], overflow, fields.data() + start, pitch);
        }
    }

    int64_t size_, channels_ = 1;
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_FIXED_POINT_TABLE_H_
