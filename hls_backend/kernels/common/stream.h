#ifndef SPARSE_QONNX_COMMON_STREAM_H_
#define SPARSE_QONNX_COMMON_STREAM_H_

#include "hls_stream.h"
#include "number.h"
#include "pixels.h"
#include "select.h"

namespace sparse_qonnx {

// One word of a stream: N values, the first one in the lowest bits.
template <class T, unsigned N>
struct beat {
    T values[N];
};

// The next word where `enable` holds; otherwise none is taken, and the values are any.
template <class T, unsigned N>
void read_where(hls::stream<beat<T, N> >& from, const bit_t enable, T values[N]) {
#pragma HLS INLINE
    SPARSE_QONNX_ONLY_WHERE(enable)
    const beat<T, N> word = from.read();
    for (unsigned i = 0; i < N; i++) {
#pragma HLS UNROLL
        values[i] = word.values[i];
    }
}

// The next chunk of an image that comes as a stream; pixels.h has the one of an array.
template <typename CONFIG_T, class in_T>
void read_chunk(hls::stream<beat<in_T, chunk_shape<CONFIG_T>::n_values> >& image,
                const typename chunk_shape<CONFIG_T>::index_t&, const bit_t enable,
                in_T values[chunk_shape<CONFIG_T>::n_values]) {
#pragma HLS INLINE
    read_where(image, enable, values);
}

// For test benches: an array as the words of a stream, zeros behind its end, and back.
template <unsigned SIZE, class T, unsigned N>
void send(const T values[SIZE], hls::stream<beat<T, N> >& to) {
    for (unsigned start = 0; start < SIZE; start += N) {
        beat<T, N> word;
        for (unsigned i = 0; i < N; i++) word.values[i] = start + i < SIZE ? values[start + i] : T(0);
        to.write(word);
    }
}
template <unsigned SIZE, class T, unsigned N>
void receive(hls::stream<beat<T, N> >& from, T values[SIZE]) {
    for (unsigned start = 0; start < SIZE; start += N) {
        const beat<T, N> word = from.read();
        for (unsigned i = 0; i < N && start + i < SIZE; i++) values[start + i] = word.values[i];
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_COMMON_STREAM_H_
