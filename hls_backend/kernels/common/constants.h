#ifndef SPARSE_QONNX_COMMON_CONSTANTS_H_
#define SPARSE_QONNX_COMMON_CONSTANTS_H_

namespace sparse_qonnx {

// C-simulation only: a constant array, converted from doubles once.
template <class T, unsigned N>
struct constants {
    T values[N];

    explicit constants(const double (&given)[N]) {
        for (unsigned i = 0; i < N; i++) values[i] = given[i];
    }
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_COMMON_CONSTANTS_H_
