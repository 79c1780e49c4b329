#ifndef SPARSE_QONNX_COMMON_PIXELS_H_
#define SPARSE_QONNX_COMMON_PIXELS_H_

#include "blocks.h"
#include "divide.h"
#include "number.h"
#include "select.h"

namespace sparse_qonnx {

// An image as an input reduction reads it: chunks of pixels_per_cycle pixels, in raster order, one chunk a step. What
// the last chunk has too much is never kept.
template <typename CONFIG_T>
struct chunk_shape {
    static const unsigned n_pixels = CONFIG_T::pixels_per_cycle;
    static const unsigned n_values = n_pixels * CONFIG_T::n_channels;
    static const unsigned n_image = CONFIG_T::height * CONFIG_T::width;
    static_assert(n_pixels >= 1 && n_pixels <= n_image &&
                      (n_pixels <= CONFIG_T::width || n_pixels % CONFIG_T::width == 0),
                  "input_reduce: pixels_per_cycle is at most one row, or whole rows");
    static const unsigned n_rows = n_pixels / CONFIG_T::width;  // 0: a part of a row
    static const unsigned n_steps = (n_image + n_pixels - 1) / n_pixels;
    static const unsigned n_last = n_image - (n_steps - 1) * n_pixels;  // pixels of the last chunk
    typedef ap_uint<bits_for<n_steps>::value> index_t;                  // 0 .. n_steps
    typedef ap_uint<bits_for<n_pixels>::value> place_t;                 // 0 .. n_pixels

    // Whether pixel `i` of chunk `at` lies in the image.
    static bit_t is_inside(const unsigned i, const index_t& at) {
#pragma HLS INLINE
        return i < n_last ? bit_t(true) : bit_t(at != n_steps - 1);
    }
};

// 1-based row and column of a chunk's first pixel: a counter. Both are registers of the loop over chunks.
template <class coord_T, typename CONFIG_T>
struct chunk_start {
    typedef chunk_shape<CONFIG_T> chunk;
    typedef ap_uint<number_traits<coord_T>::width + 1> wide_t;
    coord_T row, column;

    chunk_start() {
#pragma HLS INLINE
        row = 1;
        column = 1;
    }

    // To the next chunk, where `enable` holds.
    void advance(const bit_t enable) {
#pragma HLS INLINE
        if (chunk::n_rows > 0) {
            load(row, coord_T(row + coord_T(unsigned(chunk::n_rows))), enable);
            return;
        }
        const wide_t next = wide_t(column) + wide_t(unsigned(chunk::n_pixels));
        const bit_t is_next_row = next > unsigned(CONFIG_T::width);
        load(row, coord_T(row + coord_T(1)), enable && is_next_row);
        load(column, coord_T(select<wide_t>(is_next_row, next - wide_t(unsigned(CONFIG_T::width)), next)), enable);
    }

    // Row and column of the chunk's pixel `place`.
    template <class place_T>
    void locate(const place_T& place, coord_T& pixel_row, coord_T& pixel_column) const {
#pragma HLS INLINE
        pixel_row = row;
        if (chunk::n_rows > 1) {
            const place_T down = divide_by<CONFIG_T::width>(place);
            pixel_row = row + coord_T(down);
            pixel_column = coord_T(place - down * place_T(unsigned(CONFIG_T::width))) + coord_T(1);
            return;
        }
        const wide_t right = wide_t(column) + wide_t(place);
        pixel_column = right;
        if (CONFIG_T::width % chunk::n_pixels != 0) {  // a chunk can end in the next row
            const bit_t is_next_row = right > unsigned(CONFIG_T::width);
            pixel_row = row + select<coord_T>(is_next_row, coord_T(1), coord_T(0));
            pixel_column = select<wide_t>(is_next_row, right - wide_t(unsigned(CONFIG_T::width)), right);
        }
    }
};

// Chunk `at` of an image that is there as a whole: a selector for every value. (An image that arrives as a stream:
// io_stream.h.) Values outside of the image are any.
template <typename CONFIG_T, class in_T>
void read_chunk(const in_T* image, const typename chunk_shape<CONFIG_T>::index_t& at, const bit_t,
                in_T values[chunk_shape<CONFIG_T>::n_values]) {
#pragma HLS INLINE
    typedef chunk_shape<CONFIG_T> chunk;
    static const unsigned n_whole = chunk::n_steps > 1 ? chunk::n_steps - 1 : 1;
    for (unsigned i = 0; i < chunk::n_values; i++) {
#pragma HLS UNROLL
        values[i] = i < chunk::n_last * CONFIG_T::n_channels ? pick<chunk::n_steps, chunk::n_values>(image, at, i)
                                                             : pick<n_whole, chunk::n_values>(image, at, i);
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_COMMON_PIXELS_H_
