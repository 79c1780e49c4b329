#include "isa.h"

#include <cstdlib>

namespace sparse_qonnx {

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

bool UseAvx2() {
    static const bool use = [] {
        __builtin_cpu_init();
        return std::getenv("SPARSE_QONNX_BASELINE") == nullptr && __builtin_cpu_supports("avx2");
    }();
    return use;
}

#endif

}  // namespace sparse_qonnx
