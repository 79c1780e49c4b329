// Which of 64 consecutive values exceed a threshold, as the bits of one word.
#ifndef SPARSE_QONNX_BLOCK_MASK_H_
#define SPARSE_QONNX_BLOCK_MASK_H_

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "isa.h"

namespace sparse_qonnx {

constexpr int64_t kBlock = 64;

// Values `stride` apart, any processor. NaN exceeds nothing.
template <typename T>
SPARSE_QONNX_INLINE uint64_t BlockMask(const T* values, int64_t stride, T threshold) {
    unsigned char above[kBlock];
    for (int64_t i = 0; i < kBlock; ++i) {
        above[i] = values[i * stride] > threshold;
    }
    uint64_t mask = 0;
    for (int64_t byte = 0; byte < kBlock / 8; ++byte) {
        uint64_t word;
        std::memcpy(&word, above + 8 * byte, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        // Eight bytes of 0 or 1 to eight bits: the product collects bit i of the result in bit 56 + i.
        mask |= ((word * UINT64_C(0x0102040810204080)) >> 56) << (8 * byte);
    }
    return mask;
}

#if defined(__SSE2__)

namespace internal {

SPARSE_QONNX_INLINE __m128i Above4(const float* values, __m128 threshold) {
    return _mm_castps_si128(_mm_cmpgt_ps(_mm_loadu_ps(values), threshold));
}

SPARSE_QONNX_INLINE __m128i Above4(const double* values, __m128d threshold) {
    const __m128d low = _mm_cmpgt_pd(_mm_loadu_pd(values), threshold);
    const __m128d high = _mm_cmpgt_pd(_mm_loadu_pd(values + 2), threshold);
    return _mm_castps_si128(_mm_shuffle_ps(_mm_castpd_ps(low), _mm_castpd_ps(high), _MM_SHUFFLE(2, 0, 2, 0)));
}

SPARSE_QONNX_INLINE __m128 Broadcast(float value) { return _mm_set1_ps(value); }
SPARSE_QONNX_INLINE __m128d Broadcast(double value) { return _mm_set1_pd(value); }

}  // namespace internal

// Values side by side: packing the comparisons down to bytes makes sixteen results one instruction.
template <typename T>
SPARSE_QONNX_INLINE uint64_t BlockMask(const T* values, T threshold) {
    const auto limit = internal::Broadcast(threshold);
    uint64_t mask = 0;
    for (int part = 0; part < 4; ++part) {
        const T* first = values + 16 * part;
        const __m128i low = _mm_packs_epi32(internal::Above4(first, limit), internal::Above4(first + 4, limit));
        const __m128i high = _mm_packs_epi32(internal::Above4(first + 8, limit), internal::Above4(first + 12, limit));
        const auto bits = static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
        mask |= static_cast<uint64_t>(bits) << (16 * part);
    }
    return mask;
}

template <typename T>
SPARSE_QONNX_INLINE bool AnyAbove(const T* values, T threshold) {
    const auto limit = internal::Broadcast(threshold);
    __m128i any = _mm_setzero_si128();
    for (int part = 0; part < 16; ++part) {
        any = _mm_or_si128(any, internal::Above4(values + 4 * part, limit));
    }
    return _mm_movemask_epi8(any) != 0;
}

#else

template <typename T>
SPARSE_QONNX_INLINE uint64_t BlockMask(const T* values, T threshold) {
    return BlockMask(values, 1, threshold);
}

template <typename T>
SPARSE_QONNX_INLINE bool AnyAbove(const T* values, T threshold) {
    int any = 0;
    for (int64_t i = 0; i < kBlock; ++i) {
        any |= values[i] > threshold;
    }
    return any != 0;
}

#endif

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_BLOCK_MASK_H_
