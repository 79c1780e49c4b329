// Shapes, tensors seen through pointers, and the error every kernel throws.
#ifndef SPARSE_QONNX_TENSOR_H_
#define SPARSE_QONNX_TENSOR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <sstream>
#include <stdexcept>
#include <string>

namespace sparse_qonnx {

// What a kernel throws; becomes an OrtStatus at the boundary.
class Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Never inlined: message building stays out of the hot loops.
template <typename... Parts>
[[noreturn, gnu::noinline, gnu::cold]] void Fail(const Parts&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    throw Error(text.str());
}

// Dimensions of a tensor; fixed capacity, so that reading a shape allocates nothing.
class Shape {
  public:
    static constexpr size_t kMaxRank = 8;

    Shape() = default;
    Shape(std::initializer_list<int64_t> dims) {
        for (int64_t dim : dims) {
            dims_[rank_++] = dim;
        }
    }

    size_t rank() const { return rank_; }
    int64_t operator[](size_t axis) const { return dims_[axis]; }
    int64_t* data() { return dims_.data(); }
    const int64_t* data() const { return dims_.data(); }
    void resize(size_t rank) { rank_ = rank; }

    // Number of elements.
    int64_t size() const {
        int64_t product = 1;
        for (size_t axis = 0; axis < rank_; ++axis) {
            product *= dims_[axis];
        }
        return product;
    }

    bool operator==(const Shape& other) const {
        if (rank_ != other.rank_) return false;
        for (size_t axis = 0; axis < rank_; ++axis) {
            if (dims_[axis] != other.dims_[axis]) return false;
        }
        return true;
    }
    bool operator!=(const Shape& other) const { return !(*this == other); }

  private:
    std::array<int64_t, kMaxRank> dims_{};
    size_t rank_ = 0;
};

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) {
    out << '[';
    for (size_t axis = 0; axis < shape.rank(); ++axis) {
        out << (axis ? ", " : "") << shape[axis];
    }
    return out << ']';
}

// Throws unless the product of the dimensions, with 16 bytes an element, can be addressed. A zero anywhere does not
// excuse the others: shapes such as [2^62, 0, 8] reach kernels from the outside.
inline void CheckAddressable(const char* what, const Shape& shape) {
    int64_t bytes = 16;
    for (size_t axis = 0; axis < shape.rank(); ++axis) {
        const int64_t dim = shape[axis] > 0 ? shape[axis] : 1;
        if (shape[axis] < 0 || __builtin_mul_overflow(bytes, dim, &bytes)) {
            Fail(what, " would have the shape ", shape, ", more elements than memory can hold");
        }
    }
}

// Fills with zeros; an empty tensor may have no memory at all, and then none is touched.
template <typename T>
inline void Zero(T* values, int64_t count) {
    if (count > 0) std::memset(values, 0, sizeof(T) * static_cast<size_t>(count));
}

// An input: nothing is owned.
struct Tensor {
    const void* data = nullptr;
    int type = 0;
    Shape shape;

    template <typename T>
    const T* as() const {
        return static_cast<const T*>(data);
    }
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_TENSOR_H_
