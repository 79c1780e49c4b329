#ifndef SPARSE_QONNX_COMMON_VIEW_H_
#define SPARSE_QONNX_COMMON_VIEW_H_

namespace sparse_qonnx {

// An array seen as [D0, D1, D2, D3], where a step along dimension k moves Sk places: broadcast where Sk is 0, permuted
// or cut into windows where the strides say so. Constants after unrolling: wires.
template <unsigned D0, unsigned D1, unsigned D2, unsigned D3, unsigned S0, unsigned S1, unsigned S2, unsigned S3>
struct view {
    static_assert(D0 >= 1 && D1 >= 1 && D2 >= 1 && D3 >= 1, "view: a dimension is empty");
    static const unsigned size = D0 * D1 * D2 * D3;
    static const unsigned extent = 1 + (D0 - 1) * S0 + (D1 - 1) * S1 + (D2 - 1) * S2 + (D3 - 1) * S3;

    // The place in the array of element i, counted in row-major order.
    static unsigned at(const unsigned i) {
        return i / (D1 * D2 * D3) * S0 + i / (D2 * D3) % D1 * S1 + i / D3 % D2 * S2 + i % D3 * S3;
    }
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_COMMON_VIEW_H_
