#ifndef SPARSE_QONNX_SPARSE_DENSE_H_
#define SPARSE_QONNX_SPARSE_DENSE_H_

#include "common/blocks.h"
#include "common/number.h"
#include "common/select.h"

namespace sparse_qonnx {

// Scatter to an image, flatten, dense layer: all in one, and the image is never built. At most n_slots of its pixels
// are not 0, so only their rows of weights are read, by coordinate, from a ROM.
//
//   features [n_slots, n_channels], coords [n_slots, 2]; an empty slot holds 0 and adds nothing
//   weights [height, width, n_channels, n_outputs], biases [n_outputs]  ->  result [n_outputs]
//
// CONFIG_T: n_slots, n_channels, height, width, n_outputs, accum_t (holds every sum exactly), pixels_per_cycle (slots
// per cycle, 1 .. n_slots; each has its own read port). Multipliers: pixels_per_cycle * n_channels * n_outputs.
template <class in_T, class coord_T, class out_T, typename CONFIG_T, class weight_T, class bias_T>
void sparse_dense(
    const in_T features[CONFIG_T::n_slots * CONFIG_T::n_channels], const coord_T coords[2 * CONFIG_T::n_slots],
    out_T result[CONFIG_T::n_outputs],
    const weight_T weights[CONFIG_T::height * CONFIG_T::width * CONFIG_T::n_channels * CONFIG_T::n_outputs],
    const bias_T biases[CONFIG_T::n_outputs]) {
    typedef typename CONFIG_T::accum_t accum_t;
    static_assert(number_traits<accum_t>::fraction >= number_traits<in_T>::fraction + number_traits<weight_T>::fraction,
                  "sparse_dense: accum_t would drop bits of a product");
    static_assert(number_traits<accum_t>::fraction >= number_traits<bias_T>::fraction,
                  "sparse_dense: accum_t would drop bits of a bias");
    typedef blocks<CONFIG_T::n_slots, CONFIG_T::pixels_per_cycle> lanes;
    static const unsigned n_channels = CONFIG_T::n_channels, n_outputs = CONFIG_T::n_outputs;
    static const unsigned n_pixels = CONFIG_T::height * CONFIG_T::width;
    typedef ap_uint<bits_for<n_pixels>::value> pixel_t;
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
#pragma HLS ARRAY_PARTITION variable = result complete
#pragma HLS ARRAY_PARTITION variable = biases complete
// One word of the ROM is all the weights of a pixel.
#pragma HLS ARRAY_RESHAPE variable = weights cyclic factor = n_channels * n_outputs

    accum_t sums[n_outputs];
#pragma HLS ARRAY_PARTITION variable = sums complete
    for (unsigned o = 0; o < n_outputs; o++) {
#pragma HLS UNROLL
        sums[o] = biases[o];
    }
    SPARSE_QONNX_REGISTERS(sums, n_outputs)
    for (unsigned step = 0; step < lanes::n_steps; step++) {
#pragma HLS PIPELINE II = 1
        SPARSE_QONNX_LOOP(step, lanes::n_steps, 1)
        const ap_uint<bits_for<lanes::n_steps - 1>::value> at = varying<lanes::n_steps>(step);
        for (unsigned lane = 0; lane < lanes::n_lanes; lane++) {
#pragma HLS UNROLL
            SPARSE_QONNX_SKIP_IDLE(!lanes::is_slot(lane, step))
            const coord_T row = pick_slot<lanes, 1, 2>(coords, lane, at, 0);
            const coord_T column = pick_slot<lanes, 1, 2>(coords, lane, at, 1);
            const bit_t is_active = lanes::has_slot(lane, at) && row != 0;
            SPARSE_QONNX_SKIP_IDLE(!is_active)
            const pixel_t place = pixel_t(row) * pixel_t(CONFIG_T::width) + pixel_t(column);
            // Without a pixel row 0 of the ROM is read: beyond its end hardware finds no number that could be
            // multiplied.
            const pixel_t pixel = select<pixel_t>(is_active, place - pixel_t(CONFIG_T::width + 1), pixel_t(0));
            for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
                const in_T held = pick_slot<lanes, 1, n_channels>(features, lane, at, c);
                const in_T value = select<in_T>(is_active, held, in_T(0));
                for (unsigned o = 0; o < n_outputs; o++) {
#pragma HLS UNROLL
                    sums[o] += pick<n_pixels, n_channels * n_outputs>(weights, pixel, c * n_outputs + o) * value;
                }
            }
        }
    }
    for (unsigned o = 0; o < n_outputs; o++) {
#pragma HLS UNROLL
        result[o] = sums[o];
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SPARSE_DENSE_H_
