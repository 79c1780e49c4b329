#ifndef SPARSE_QONNX_COMMON_POOLING_H_
#define SPARSE_QONNX_COMMON_POOLING_H_

namespace sparse_qonnx {

enum class pooling { AVERAGE, MAX, MIN, SUM };

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_COMMON_POOLING_H_
