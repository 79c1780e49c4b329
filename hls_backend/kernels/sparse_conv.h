#ifndef SPARSE_QONNX_SPARSE_CONV_H_
#define SPARSE_QONNX_SPARSE_CONV_H_

#include "common/number.h"

namespace sparse_qonnx {

// 2D convolution, stride 1, "same" padding, of the active pixels onto themselves.
//
//   features [n_slots, n_channels], coords [n_slots, 2]
//   result   [n_slots, n_filters]   on the same coords; an empty slot holds 0
//   weights  [kernel_height, kernel_width, n_channels / n_groups, n_filters]
//   biases   [n_filters]            added only where the filter's sum is not 0, as the layer is trained
//
// CONFIG_T: n_slots, n_channels, n_filters, n_groups, kernel_height, kernel_width, dilation_height, dilation_width,
// pad_top, pad_left, accum_t (holds every sum exactly), initiation_interval.
// The order of the slots does not matter.
//
// All pairs of an output and an input slot: the offset between two pixels is the kernel position whose weights apply.
// One output slot per cycle: n_slots groups of multipliers.
template <class in_T, class coord_T, class out_T, typename CONFIG_T, class weight_T, class bias_T>
void sparse_conv(const in_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                 const coord_T coords[2 * CONFIG_T::n_slots], out_T result[CONFIG_T::n_slots * CONFIG_T::n_filters],
                 const weight_T weights[CONFIG_T::kernel_height * CONFIG_T::kernel_width *
                                        (CONFIG_T::n_channels / CONFIG_T::n_groups) * CONFIG_T::n_filters],
                 const bias_T biases[CONFIG_T::n_filters]) {
    typedef typename CONFIG_T::accum_t accum_t;
    static const unsigned n_group_channels = CONFIG_T::n_channels / CONFIG_T::n_groups;
    static const unsigned n_group_filters = CONFIG_T::n_filters / CONFIG_T::n_groups;
    static const unsigned window_height = (CONFIG_T::kernel_height - 1) * CONFIG_T::dilation_height + 1;
    static const unsigned window_width = (CONFIG_T::kernel_width - 1) * CONFIG_T::dilation_width + 1;
    static_assert(n_group_channels * CONFIG_T::n_groups == CONFIG_T::n_channels,
                  "sparse_conv: n_groups must divide n_channels");
    static_assert(n_group_filters * CONFIG_T::n_groups == CONFIG_T::n_filters,
                  "sparse_conv: n_groups must divide n_filters");
    static_assert(CONFIG_T::pad_top < window_height && CONFIG_T::pad_left < window_width,
                  "sparse_conv: the padding is smaller than the window");
    static_assert(number_traits<accum_t>::fraction >= number_traits<in_T>::fraction + number_traits<weight_T>::fraction,
                  "sparse_conv: accum_t would drop bits of a product");
    // Signed, one bit for the difference of two coordinates, one for the padding.
    typedef ap_int<larger<number_traits<coord_T>::width,
                          bits_for<(window_height > window_width ? window_height : window_width)>::value>::value +
                   2>
        offset_t;
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
#pragma HLS ARRAY_PARTITION variable = result complete
#pragma HLS ARRAY_PARTITION variable = weights complete
#pragma HLS ARRAY_PARTITION variable = biases complete

    for (unsigned to = 0; to < CONFIG_T::n_slots; to++) {
#pragma HLS PIPELINE II = CONFIG_T::initiation_interval
        accum_t sums[CONFIG_T::n_filters];
#pragma HLS ARRAY_PARTITION variable = sums complete
        for (unsigned f = 0; f < CONFIG_T::n_filters; f++) {
#pragma HLS UNROLL
            sums[f] = 0;
        }
        const bool is_active = coords[2 * to] != 0;
        for (unsigned from = 0; from < CONFIG_T::n_slots; from++) {
#pragma HLS UNROLL
            const offset_t down = offset_t(coords[2 * from]) - offset_t(coords[2 * to]) + int(CONFIG_T::pad_top);
            const offset_t right =
                offset_t(coords[2 * from + 1]) - offset_t(coords[2 * to + 1]) + int(CONFIG_T::pad_left);
            const bool is_in_window = is_active && coords[2 * from] != 0 && down >= 0 && right >= 0 &&
                                      down < int(window_height) && right < int(window_width);
            if (!is_in_window) continue;
            const unsigned y = unsigned(down), x = unsigned(right);
            if (y % CONFIG_T::dilation_height != 0 || x % CONFIG_T::dilation_width != 0) continue;
            const unsigned position =
                y / CONFIG_T::dilation_height * CONFIG_T::kernel_width + x / CONFIG_T::dilation_width;
            for (unsigned c = 0; c < n_group_channels; c++) {
#pragma HLS UNROLL
                for (unsigned f = 0; f < CONFIG_T::n_filters; f++) {
#pragma HLS UNROLL
                    const unsigned channel = f / n_group_filters * n_group_channels + c;
                    sums[f] += weights[(position * n_group_channels + c) * CONFIG_T::n_filters + f] *
                               features[from * CONFIG_T::n_channels + channel];
                }
            }
        }
        for (unsigned f = 0; f < CONFIG_T::n_filters; f++) {
#pragma HLS UNROLL
            result[to * CONFIG_T::n_filters + f] = sums[f] == 0 ? out_T(0) : out_T(sums[f] + biases[f]);
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SPARSE_CONV_H_
