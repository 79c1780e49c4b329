#ifndef SPARSE_QONNX_CONV_H_
#define SPARSE_QONNX_CONV_H_

#include "common/blocks.h"
#include "common/number.h"
#include "common/select.h"

namespace sparse_qonnx {

// Dense convolution, channels first, in up to three dimensions (0 is the slowest; unused ones have size 1).
//
//   data [n_channels, size_0, size_1, size_2], weights [n_filters, n_channels / n_groups, kernel_0, kernel_1, kernel_2]
//   biases [n_filters]  ->  result [n_filters, out_0, out_1, out_2]
//
// pixels_per_cycle output pixels a cycle, each with a multiplier by a constant for every weight; a window is selected
// from the places that its pixels can have. Outside of the image lies 0, which is no input of a selector.
//
// CONFIG_T: all of the above, and per dimension stride_k, dilation_k, pad_k (zeros before the first value); accum_t
// holds every sum exactly.

template <typename CONFIG_T>
struct conv_window {
    static const unsigned n_taps = CONFIG_T::kernel_0 * CONFIG_T::kernel_1 * CONFIG_T::kernel_2;
    static const unsigned n_places = CONFIG_T::size_0 * CONFIG_T::size_1 * CONFIG_T::size_2;
    static const unsigned n_pixels = CONFIG_T::out_0 * CONFIG_T::out_1 * CONFIG_T::out_2;

    // Place along one dimension, -1 outside of the image.
    static int along(const unsigned pixel, const unsigned tap, const unsigned stride, const unsigned dilation,
                     const unsigned pad, const unsigned size) {
        const int place = int(pixel * stride + tap * dilation) - int(pad);
        return place < 0 || place >= int(size) ? -1 : place;
    }

    // The place in the image that tap `tap` of output pixel `pixel` reads, -1 outside of it.
    static int at(const unsigned pixel, const unsigned tap) {
        const int place_0 =
            along(pixel / (CONFIG_T::out_1 * CONFIG_T::out_2), tap / (CONFIG_T::kernel_1 * CONFIG_T::kernel_2),
                  CONFIG_T::stride_0, CONFIG_T::dilation_0, CONFIG_T::pad_0, CONFIG_T::size_0);
        const int place_1 =
            along(pixel / CONFIG_T::out_2 % CONFIG_T::out_1, tap / CONFIG_T::kernel_2 % CONFIG_T::kernel_1,
                  CONFIG_T::stride_1, CONFIG_T::dilation_1, CONFIG_T::pad_1, CONFIG_T::size_1);
        const int place_2 = along(pixel % CONFIG_T::out_2, tap % CONFIG_T::kernel_2, CONFIG_T::stride_2,
                                  CONFIG_T::dilation_2, CONFIG_T::pad_2, CONFIG_T::size_2);
        if (place_0 < 0 || place_1 < 0 || place_2 < 0) return -1;
        return (place_0 * int(CONFIG_T::size_1) + place_1) * int(CONFIG_T::size_2) + place_2;
    }
};

template <class in_T, class out_T, typename CONFIG_T, class weight_T, class bias_T>
void conv(const in_T data[CONFIG_T::n_channels * conv_window<CONFIG_T>::n_places],
          out_T result[CONFIG_T::n_filters * conv_window<CONFIG_T>::n_pixels],
          const weight_T
              weights[CONFIG_T::n_filters * CONFIG_T::n_channels / CONFIG_T::n_groups * conv_window<CONFIG_T>::n_taps],
          const bias_T biases[CONFIG_T::n_filters]) {
    typedef typename CONFIG_T::accum_t accum_t;
    typedef conv_window<CONFIG_T> window;
    typedef blocks<window::n_pixels, CONFIG_T::pixels_per_cycle> lanes;
    static const unsigned n_channels = CONFIG_T::n_channels, n_filters = CONFIG_T::n_filters;
    static const unsigned group_channels = n_channels / CONFIG_T::n_groups, n_taps = window::n_taps;
    static_assert(group_channels * CONFIG_T::n_groups == n_channels && n_filters % CONFIG_T::n_groups == 0,
                  "conv: n_groups must divide n_channels and n_filters");
    static_assert(number_traits<accum_t>::fraction >= number_traits<in_T>::fraction + number_traits<weight_T>::fraction,
                  "conv: accum_t would drop bits of a product");
    static_assert(number_traits<accum_t>::fraction >= number_traits<bias_T>::fraction,
                  "conv: accum_t would drop bits of a bias");
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
#pragma HLS ARRAY_PARTITION variable = weights complete
#pragma HLS ARRAY_PARTITION variable = biases complete
    for (unsigned step = 0; step < lanes::n_steps; step++) {
#pragma HLS PIPELINE II = 1
        SPARSE_QONNX_LOOP(step, lanes::n_steps, 1)
        const ap_uint<bits_for<lanes::n_steps - 1>::value> with = varying<lanes::n_steps>(step);
        for (unsigned lane = 0; lane < lanes::n_lanes; lane++) {
#pragma HLS UNROLL
            SPARSE_QONNX_SKIP_IDLE(!lanes::is_slot(lane, step))
            in_T seen[n_channels * n_taps];
#pragma HLS ARRAY_PARTITION variable = seen complete
            for (unsigned tap = 0; tap < n_taps; tap++) {
#pragma HLS UNROLL
                for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
                    in_T candidates[lanes::n_steps];
#pragma HLS ARRAY_PARTITION variable = candidates complete
                    for (unsigned n = 0; n < lanes::n_steps; n++) {
#pragma HLS UNROLL
                        SPARSE_QONNX_SKIP_IDLE(n != step)
                        const unsigned pixel = lanes::begin_of(lane) + n;
                        const int place = pixel < window::n_pixels ? window::at(pixel, tap) : -1;
                        candidates[n] = place < 0 ? in_T(0) : data[c * window::n_places + unsigned(place)];
                    }
                    seen[c * n_taps + tap] = pick<lanes::n_steps>(candidates, with);
                }
            }
            for (unsigned f = 0; f < n_filters; f++) {
#pragma HLS UNROLL
                const unsigned first = f / (n_filters / CONFIG_T::n_groups) * group_channels * n_taps;
                accum_t sum = biases[f];
                for (unsigned i = 0; i < group_channels * n_taps; i++) {
#pragma HLS UNROLL
                    sum += weights[f * group_channels * n_taps + i] * seen[first + i];
                }
                put_slot<lanes, 1, 1>(result, lane, with, out_T(sum), f * window::n_pixels);
            }
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_CONV_H_
