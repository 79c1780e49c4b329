// Which blocks of 64 consecutive values hold one above a threshold: what an image is read with.
#ifndef SPARSE_QONNX_BLOCK_SCAN_H_
#define SPARSE_QONNX_BLOCK_SCAN_H_

#include <cstdint>

#include "block_mask.h"
#include "isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sparse_qonnx {

// The processor's own prefetching ends with each page; images are read to the end, so the next page is always wanted.
template <typename T>
SPARSE_QONNX_INLINE void Prefetch(const T* values, int64_t count) {
    const uintptr_t ahead = reinterpret_cast<uintptr_t>(values) + 4096;
    for (uintptr_t byte = 0; byte < static_cast<uintptr_t>(count) * sizeof(T); byte += 64) {
        __builtin_prefetch(reinterpret_cast<const void*>(ahead + byte));
    }
}

namespace internal {

template <typename T>
uint64_t OccupiedBlocksBaseline(const T* values, int blocks, T threshold) {
    uint64_t occupied = 0;
    for (int block = 0; block < blocks; ++block, values += kBlock) {
        Prefetch(values, kBlock);
        occupied |= static_cast<uint64_t>(AnyAbove(values, threshold)) << block;
    }
    return occupied;
}

#if defined(__x86_64__)

// Whole functions rather than loops handed to RunBest: what they are written with exists only for AVX2.
__attribute__((target("avx2"))) inline uint64_t OccupiedBlocksAvx2(const float* values, int blocks, float threshold) {
    const __m256 limit = _mm256_set1_ps(threshold);
    uint64_t occupied = 0;
    for (int block = 0; block < blocks; ++block, values += kBlock) {
        for (int line = 0; line < 4; ++line)
            _mm_prefetch(reinterpret_cast<const char*>(values + 1024 + 16 * line), _MM_HINT_T0);
        __m256 any[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
        for (int i = 0; i < 8; ++i) {
            any[i % 2] = _mm256_or_ps(any[i % 2], _mm256_cmp_ps(_mm256_loadu_ps(values + 8 * i), limit, _CMP_GT_OQ));
        }
        occupied |= static_cast<uint64_t>(_mm256_movemask_ps(_mm256_or_ps(any[0], any[1])) != 0) << block;
    }
    return occupied;
}

__attribute__((target("avx2"))) inline uint64_t OccupiedBlocksAvx2(const double* values, int blocks, double threshold) {
    const __m256d limit = _mm256_set1_pd(threshold);
    uint64_t occupied = 0;
    for (int block = 0; block < blocks; ++block, values += kBlock) {
        __m256d any[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
        for (int i = 0; i < 16; ++i) {
            any[i % 2] = _mm256_or_pd(any[i % 2], _mm256_cmp_pd(_mm256_loadu_pd(values + 4 * i), limit, _CMP_GT_OQ));
        }
        occupied |= static_cast<uint64_t>(_mm256_movemask_pd(_mm256_or_pd(any[0], any[1])) != 0) << block;
    }
    return occupied;
}

#endif

}  // namespace internal

// Bit b is set where block b does; at most 64 blocks. NaN exceeds nothing.
template <typename T>
uint64_t OccupiedBlocks(const T* values, int blocks, T threshold) {
#if defined(__x86_64__)
    if (UseAvx2()) return internal::OccupiedBlocksAvx2(values, blocks, threshold);
#endif
    return internal::OccupiedBlocksBaseline(values, blocks, threshold);
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_BLOCK_SCAN_H_
