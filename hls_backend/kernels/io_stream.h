#ifndef SPARSE_QONNX_IO_STREAM_H_
#define SPARSE_QONNX_IO_STREAM_H_

#include "common/select.h"
#include "common/stream.h"

namespace sparse_qonnx {

// Streams of the interface from and to the arrays between layers: one word per cycle. An image that an input reduction
// reads does not come here: that takes its pixels from the stream (input_reduce.h).
//
// CONFIG_T: n_values, n_word_values (divides n_values).

template <class T, class array_T, typename CONFIG_T>
void stream_to_array(hls::stream<beat<T, CONFIG_T::n_word_values> >& from, array_T values[CONFIG_T::n_values]) {
    static const unsigned n_words = CONFIG_T::n_values / CONFIG_T::n_word_values;
    static_assert(n_words * CONFIG_T::n_word_values == CONFIG_T::n_values, "io_stream: words have to be whole");
#pragma HLS ARRAY_PARTITION variable = values complete
    for (unsigned step = 0; step < n_words; step++) {
#pragma HLS PIPELINE II = 1
        SPARSE_QONNX_LOOP(step, n_words, 1)
        T word[CONFIG_T::n_word_values];
#pragma HLS ARRAY_PARTITION variable = word complete
        read_where(from, bit_t(true), word);
        for (unsigned i = 0; i < CONFIG_T::n_word_values; i++) {
#pragma HLS UNROLL
            put<n_words, CONFIG_T::n_word_values>(values, varying<n_words>(step), word[i], true, i);
        }
    }
}

template <class array_T, class T, typename CONFIG_T>
void array_to_stream(const array_T values[CONFIG_T::n_values], hls::stream<beat<T, CONFIG_T::n_word_values> >& to) {
    static const unsigned n_words = CONFIG_T::n_values / CONFIG_T::n_word_values;
    static_assert(n_words * CONFIG_T::n_word_values == CONFIG_T::n_values, "io_stream: words have to be whole");
#pragma HLS ARRAY_PARTITION variable = values complete
    for (unsigned step = 0; step < n_words; step++) {
#pragma HLS PIPELINE II = 1
        SPARSE_QONNX_LOOP(step, n_words, 1)
        beat<T, CONFIG_T::n_word_values> word;
        for (unsigned i = 0; i < CONFIG_T::n_word_values; i++) {
#pragma HLS UNROLL
            word.values[i] = pick<n_words, CONFIG_T::n_word_values>(values, varying<n_words>(step), i);
        }
        to.write(word);
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_IO_STREAM_H_
