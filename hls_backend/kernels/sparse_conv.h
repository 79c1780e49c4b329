#ifndef SPARSE_QONNX_SPARSE_CONV_H_
#define SPARSE_QONNX_SPARSE_CONV_H_

#include "common/blocks.h"
#include "common/number.h"
#include "common/select.h"

namespace sparse_qonnx {

// 2D convolution, stride 1, "same" padding, of the active pixels onto themselves.
//
//   features [n_slots, n_channels], coords [n_slots, 2]
//   result   [n_slots, n_filters]   on the same coords; an empty slot holds 0
//   weights  [1 + kernel_height * kernel_width + 1, n_channels / n_groups, n_filters]: the kernel positions row by row
//            between two of zeros, which pixels outside of the window get
//   biases   [n_filters]            added only where the filter's sum is not 0, as the layer is trained
//
// CONFIG_T: n_slots, n_channels, n_filters, n_groups, kernel_height, kernel_width, dilation_height, dilation_width,
// pad_top, pad_left, accum_t (holds every sum exactly), is_raster_order: active slots are in raster order, so an
// earlier slot is never below a later one: half of the kernel positions cannot occur between them. pixels_per_cycle:
// output slots worked on at once.

template <class in_T, class coord_T, class out_T, class weight_T, typename CONFIG_T>
struct sparse_conv_contract {
    static const unsigned n_group_channels = CONFIG_T::n_channels / CONFIG_T::n_groups;
    static const unsigned n_group_filters = CONFIG_T::n_filters / CONFIG_T::n_groups;
    static const unsigned n_positions = CONFIG_T::kernel_height * CONFIG_T::kernel_width;
    static const unsigned window_height = (CONFIG_T::kernel_height - 1) * CONFIG_T::dilation_height + 1;
    static const unsigned window_width = (CONFIG_T::kernel_width - 1) * CONFIG_T::dilation_width + 1;
    static_assert(n_group_channels * CONFIG_T::n_groups == CONFIG_T::n_channels,
                  "sparse_conv: n_groups must divide n_channels");
    static_assert(n_group_filters * CONFIG_T::n_groups == CONFIG_T::n_filters,
                  "sparse_conv: n_groups must divide n_filters");
    static_assert(CONFIG_T::pad_top < window_height && CONFIG_T::pad_left < window_width,
                  "sparse_conv: the padding is smaller than the window");
    static_assert(number_traits<typename CONFIG_T::accum_t>::fraction >=
                      number_traits<in_T>::fraction + number_traits<weight_T>::fraction,
                  "sparse_conv: accum_t would drop bits of a product");
    static_assert(CONFIG_T::pixels_per_cycle >= 1 && CONFIG_T::pixels_per_cycle <= CONFIG_T::n_slots,
                  "sparse_conv: pixels_per_cycle lies between 1 and n_slots");

    // Signed, one bit for the difference of two coordinates, one for the padding.
    typedef ap_int<larger<number_traits<coord_T>::width,
                          bits_for<(window_height > window_width ? window_height : window_width)>::value>::value +
                   2>
        offset_t;
    // Kernel positions, in raster order, whose pixels lie before the output pixel, and those that do not lie after it.
    static const bool has_centre_row = CONFIG_T::pad_top % CONFIG_T::dilation_height == 0;
    static const bool has_centre = has_centre_row && CONFIG_T::pad_left % CONFIG_T::dilation_width == 0;
    static const unsigned rows_above = (CONFIG_T::pad_top + CONFIG_T::dilation_height - 1) / CONFIG_T::dilation_height;
    static const unsigned n_before =
        rows_above * CONFIG_T::kernel_width +
        (has_centre_row ? (CONFIG_T::pad_left + CONFIG_T::dilation_width - 1) / CONFIG_T::dilation_width : 0);
    static const unsigned n_not_after = n_before + (has_centre ? 1 : 0);
    static const unsigned n_after = n_positions - n_not_after;
};

// How the slots of two lanes lie to each other, as far as that is known before the data: lanes work on blocks of slots.
enum class slot_order { UNKNOWN, BEFORE, SAME, AFTER };

inline slot_order order_of_blocks(const bool is_raster_order, const unsigned from_begin, const unsigned from_end,
                                  const unsigned to_begin, const unsigned to_end) {
    if (from_begin + 1 == from_end && to_begin + 1 == to_end && from_begin == to_begin) return slot_order::SAME;
    if (is_raster_order && from_end <= to_begin) return slot_order::BEFORE;
    if (is_raster_order && to_end <= from_begin) return slot_order::AFTER;
    return slot_order::UNKNOWN;
}

// Whether 0 <= offset < limit: one comparison, and the sign.
template <class offset_T>
bit_t is_below(const offset_T& offset, const unsigned limit) {
#pragma HLS INLINE
    return !bit_t(offset[number_traits<offset_T>::width - 1]) && offset < int(limit);
}

// The bias where there is a sum, nothing where there is none or no pixel.
template <class out_T, class accum_T, class bias_T>
out_T with_bias(const accum_T& sum, const bias_T& bias, const bit_t is_active) {
#pragma HLS INLINE
    return select<out_T>(is_active && sum != 0, out_T(sum + bias), out_T(0));
}

// The kernel position at which a `from` pixel lies in the window of a `to` pixel, as a row of the table of weights that
// the order of the two slots leaves: the positions before the output pixel, those after it, or all. `is_there`: the
// lane has a `from` slot in this step.
template <class contract, typename CONFIG_T>
struct neighbour {
    static const unsigned n_before = contract::n_before + 1, n_after = contract::n_after + 1;
    static const unsigned n_all = contract::n_positions + 1;
    typedef typename contract::offset_t offset_t;
    typedef ap_uint<bits_for<n_all>::value> row_t;

    bit_t is_in_window;
    offset_t down, right;

    template <class coord_T>
    neighbour(const slot_order order, const bit_t is_there, const coord_T& from_row, const coord_T& from_column,
              const coord_T& to_row, const coord_T& to_column) {
#pragma HLS INLINE
        if (order == slot_order::SAME) {
            down = CONFIG_T::pad_top;
            right = CONFIG_T::pad_left;
            is_in_window = is_there && from_row != 0 && bit_t(contract::has_centre);
            return;
        }
        down = offset_t(from_row) - offset_t(to_row) + offset_t(CONFIG_T::pad_top);
        right = offset_t(from_column) - offset_t(to_column) + offset_t(CONFIG_T::pad_left);
        // What the order already says needs no comparison: pad_top <= down after, down <= pad_top before.
        const bit_t is_row = order == slot_order::BEFORE  ? bit_t(down >= 0)
                             : order == slot_order::AFTER ? bit_t(down < int(contract::window_height))
                                                          : is_below(down, contract::window_height);
        is_in_window = is_there && from_row != 0 && is_row && is_below(right, contract::window_width);
        if (CONFIG_T::dilation_height > 1) {
            is_in_window = is_in_window &&
                           ap_uint<number_traits<offset_t>::width>(down) % unsigned(CONFIG_T::dilation_height) == 0;
        }
        if (CONFIG_T::dilation_width > 1) {
            is_in_window = is_in_window &&
                           ap_uint<number_traits<offset_t>::width>(right) % unsigned(CONFIG_T::dilation_width) == 0;
        }
    }

    // The row of weights, counted from the first that can occur; the zeros' outside of the window.
    row_t row(const slot_order order) const {
#pragma HLS INLINE
        if (order == slot_order::SAME) return row_t(contract::has_centre ? contract::n_before + 1 : 0);
        const row_t y = row_t(ap_uint<number_traits<offset_t>::width>(down) / unsigned(CONFIG_T::dilation_height));
        const row_t x = row_t(ap_uint<number_traits<offset_t>::width>(right) / unsigned(CONFIG_T::dilation_width));
        const row_t position = y * row_t(CONFIG_T::kernel_width) + x;
        if (order == slot_order::AFTER) {
            return select<row_t>(is_in_window, position - row_t(contract::n_not_after), row_t(contract::n_after));
        }
        return select<row_t>(is_in_window, position + row_t(1), row_t(0));
    }
};

// One weight, by the row that neighbour::row gives; POSITION_STRIDE weights a position, STRIDE between those picked.
template <class contract, typename CONFIG_T, unsigned STEPS, unsigned STRIDE, class weight_T, class index_T>
weight_T weight_of(const slot_order order, const weight_T* weights, const index_T& index, const unsigned offset) {
#pragma HLS INLINE
    typedef neighbour<contract, CONFIG_T> rows;
    static const unsigned first_after = (1 + contract::n_not_after) * STEPS * STRIDE;
    static const unsigned n_before = rows::n_before * STEPS, n_after = rows::n_after * STEPS;
    static const unsigned n_all = rows::n_all * STEPS;
    const unsigned n_first = offset / STRIDE;  // the last ones would lie beyond the end of the table
    switch (order) {
        case slot_order::BEFORE:
            return pick<n_before, STRIDE>(weights, index, offset, n_before - n_first);
        case slot_order::AFTER:
            return pick<n_after, STRIDE>(weights, index, first_after + offset, n_after - n_first);
        default:
            return pick<n_all, STRIDE>(weights, index, offset, n_all - n_first);
    }
}

// All pairs of an output and an input slot: the offset between two pixels is the kernel position whose weights apply.
//
// Further factors: inputs_per_cycle (slots, 1 .. n_slots), filters_per_cycle (divides n_filters; all where there are
// groups), channels_per_cycle (divides n_channels / n_groups). Multipliers: the product of all four.
template <class in_T, class coord_T, class out_T, typename CONFIG_T, class weight_T, class bias_T>
void sparse_conv_pairs(const in_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                       const coord_T coords[2 * CONFIG_T::n_slots],
                       out_T result[CONFIG_T::n_slots * CONFIG_T::n_filters],
                       const weight_T weights[(CONFIG_T::kernel_height * CONFIG_T::kernel_width + 2) *
                                              (CONFIG_T::n_channels / CONFIG_T::n_groups) * CONFIG_T::n_filters],
                       const bias_T biases[CONFIG_T::n_filters]) {
    typedef sparse_conv_contract<in_T, coord_T, out_T, weight_T, CONFIG_T> contract;
    typedef neighbour<contract, CONFIG_T> neighbour_t;
    typedef typename CONFIG_T::accum_t accum_t;
    typedef blocks<CONFIG_T::n_slots, CONFIG_T::pixels_per_cycle> outputs;
    typedef blocks<CONFIG_T::n_slots, CONFIG_T::inputs_per_cycle> inputs;
    static const unsigned n_channels = CONFIG_T::n_channels, n_group_channels = contract::n_group_channels;
    static const unsigned n_filters = CONFIG_T::n_filters, n_lane_filters = CONFIG_T::filters_per_cycle;
    static const unsigned n_lane_channels = CONFIG_T::channels_per_cycle;
    static const unsigned filter_steps = n_filters / n_lane_filters;
    static const unsigned channel_steps = n_group_channels / n_lane_channels;
    static_assert(filter_steps * n_lane_filters == n_filters, "sparse_conv: filters_per_cycle must divide n_filters");
    static_assert(channel_steps * n_lane_channels == n_group_channels,
                  "sparse_conv: channels_per_cycle must divide n_channels / n_groups");
    static_assert(CONFIG_T::n_groups == 1 || filter_steps == 1,
                  "sparse_conv: with groups all filters are computed at once");
    // A lane reads every feature_stride-th channel and every weight_stride-th weight of a position.
    static const unsigned feature_stride = channel_steps == 1 ? n_channels : n_lane_channels;
    static const unsigned weight_stride = filter_steps == 1 ? n_lane_channels * n_filters : n_lane_filters;
    static const unsigned feature_rows = n_channels / feature_stride;
    static const unsigned weight_rows = n_group_channels * n_filters / weight_stride;
    static const unsigned n_sums = outputs::n_lanes * n_lane_filters;
    typedef ap_uint<bits_for<inputs::n_steps * feature_rows>::value> feature_index_t;
    typedef ap_uint<bits_for<neighbour_t::n_all * weight_rows>::value> weight_index_t;
    typedef ap_uint<bits_for<outputs::n_steps * filter_steps>::value> result_index_t;
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
#pragma HLS ARRAY_PARTITION variable = result complete
#pragma HLS ARRAY_PARTITION variable = weights complete
#pragma HLS ARRAY_PARTITION variable = biases complete

    accum_t sums[n_sums];
#pragma HLS ARRAY_PARTITION variable = sums complete
    for (unsigned i = 0; i < n_sums; i++) {
#pragma HLS UNROLL
        sums[i] = 0;
    }
    SPARSE_QONNX_REGISTERS(sums, inputs::n_steps * channel_steps > 1 ? n_sums : 0)

    // Four loops, perfectly nested and of constant trip counts: the tools make one of them.
    for (unsigned output_step = 0; output_step < outputs::n_steps; output_step++) {
        SPARSE_QONNX_LOOP(output_step, outputs::n_steps, 1)
        for (unsigned filter_step = 0; filter_step < filter_steps; filter_step++) {
            SPARSE_QONNX_LOOP(filter_step, filter_steps, 1)
            for (unsigned input_step = 0; input_step < inputs::n_steps; input_step++) {
                SPARSE_QONNX_LOOP(input_step, inputs::n_steps, 1)
                for (unsigned channel_step = 0; channel_step < channel_steps; channel_step++) {
#pragma HLS PIPELINE II = 1
                    SPARSE_QONNX_LOOP(channel_step, channel_steps, 1)
                    const ap_uint<bits_for<outputs::n_steps - 1>::value> at = varying<outputs::n_steps>(output_step);
                    const ap_uint<bits_for<inputs::n_steps - 1>::value> with = varying<inputs::n_steps>(input_step);
                    const ap_uint<bits_for<filter_steps - 1>::value> filter = varying<filter_steps>(filter_step);
                    const ap_uint<bits_for<channel_steps - 1>::value> channel = varying<channel_steps>(channel_step);
                    const bit_t is_first = with == 0 && channel == 0;
                    const bit_t is_last = with == inputs::n_steps - 1 && channel == channel_steps - 1;
                    for (unsigned to = 0; to < outputs::n_lanes; to++) {
#pragma HLS UNROLL
                        SPARSE_QONNX_SKIP_IDLE(!outputs::is_slot(to, output_step))
                        const coord_T row = pick_slot<outputs, 1, 2>(coords, to, at, 0);
                        const coord_T column = pick_slot<outputs, 1, 2>(coords, to, at, 1);
                        accum_t* const lane_sums = sums + to * n_lane_filters;
                        for (unsigned f = 0; f < n_lane_filters; f++) {
#pragma HLS UNROLL
                            lane_sums[f] = select<accum_t>(is_first, accum_t(0), lane_sums[f]);
                        }
                        for (unsigned from = 0; from < inputs::n_lanes; from++) {
#pragma HLS UNROLL
                            SPARSE_QONNX_SKIP_IDLE(!inputs::is_slot(from, input_step))
                            const bit_t is_there = inputs::has_slot(from, with);
                            const slot_order order =
                                order_of_blocks(CONFIG_T::is_raster_order, inputs::begin_of(from), inputs::end_of(from),
                                                outputs::begin_of(to), outputs::end_of(to));
                            const neighbour_t pair(order, is_there, pick_slot<inputs, 1, 2>(coords, from, with, 0),
                                                   pick_slot<inputs, 1, 2>(coords, from, with, 1), row, column);
                            SPARSE_QONNX_SKIP_IDLE(!pair.is_in_window)
                            const weight_index_t position = pair.row(order) * weight_index_t(weight_rows);
                            for (unsigned f = 0; f < n_lane_filters; f++) {
#pragma HLS UNROLL
                                for (unsigned c = 0; c < n_lane_channels; c++) {
#pragma HLS UNROLL
                                    const unsigned group = f / contract::n_group_filters;
                                    const feature_index_t feature = with * feature_index_t(feature_rows) + channel;
                                    const in_T held = pick_slot<inputs, feature_rows, feature_stride>(
                                        features, from, feature, group * n_group_channels + c);
                                    const in_T value = select<in_T>(is_there, held, in_T(0));
                                    const weight_index_t index =
                                        position +
                                        channel *
                                            weight_index_t(filter_steps == 1 ? 1 : n_lane_channels * filter_steps) +
                                        filter;
                                    const weight_T weight = weight_of<contract, CONFIG_T, weight_rows, weight_stride>(
                                        order, weights, index, c * n_filters + f);
                                    lane_sums[f] += weight * value;
                                }
                            }
                        }
                        for (unsigned f = 0; f < n_lane_filters; f++) {
#pragma HLS UNROLL
                            const bias_T bias = pick<filter_steps, n_lane_filters>(biases, filter, f);
                            put_slot<outputs, filter_steps, n_lane_filters>(
                                result, to, result_index_t(at * result_index_t(filter_steps) + filter),
                                with_bias<out_T>(lane_sums[f], bias, row != 0), f, is_last);
                        }
                    }
                }
            }
        }
    }
}

// For each output slot and kernel position, the slot that lies there: N selectors a position, but every weight is a
// constant, shifts and additions instead of multipliers. Smaller than pairs where the kernel has fewer positions than
// there are slots, or many filters.
template <class in_T, class coord_T, class out_T, typename CONFIG_T, class weight_T, class bias_T>
void sparse_conv_gather(const in_T features[CONFIG_T::n_slots * CONFIG_T::n_channels],
                        const coord_T coords[2 * CONFIG_T::n_slots],
                        out_T result[CONFIG_T::n_slots * CONFIG_T::n_filters],
                        const weight_T weights[(CONFIG_T::kernel_height * CONFIG_T::kernel_width + 2) *
                                               (CONFIG_T::n_channels / CONFIG_T::n_groups) * CONFIG_T::n_filters],
                        const bias_T biases[CONFIG_T::n_filters]) {
    typedef sparse_conv_contract<in_T, coord_T, out_T, weight_T, CONFIG_T> contract;
    typedef typename CONFIG_T::accum_t accum_t;
    typedef typename number_traits<in_T>::raw_t raw_t;
    typedef blocks<CONFIG_T::n_slots, CONFIG_T::pixels_per_cycle> outputs;
    static const unsigned n_slots = CONFIG_T::n_slots, n_channels = CONFIG_T::n_channels;
    static const unsigned n_group_channels = contract::n_group_channels, n_filters = CONFIG_T::n_filters;
    static const unsigned n_positions = contract::n_positions;
#pragma HLS ARRAY_PARTITION variable = features complete
#pragma HLS ARRAY_PARTITION variable = coords complete
#pragma HLS ARRAY_PARTITION variable = result complete
#pragma HLS ARRAY_PARTITION variable = weights complete
#pragma HLS ARRAY_PARTITION variable = biases complete
    for (unsigned step = 0; step < outputs::n_steps; step++) {
#pragma HLS PIPELINE II = 1
        SPARSE_QONNX_LOOP(step, outputs::n_steps, 1)
        const ap_uint<bits_for<outputs::n_steps - 1>::value> at = varying<outputs::n_steps>(step);
        for (unsigned to = 0; to < outputs::n_lanes; to++) {
#pragma HLS UNROLL
            SPARSE_QONNX_SKIP_IDLE(!outputs::is_slot(to, step))
            const coord_T row = pick_slot<outputs, 1, 2>(coords, to, at, 0);
            const coord_T column = pick_slot<outputs, 1, 2>(coords, to, at, 1);
            raw_t gathered[n_positions * n_channels];
#pragma HLS ARRAY_PARTITION variable = gathered complete
            for (unsigned i = 0; i < n_positions * n_channels; i++) {
#pragma HLS UNROLL
                gathered[i] = 0;
            }
            for (unsigned from = 0; from < n_slots; from++) {
#pragma HLS UNROLL
                const slot_order order = order_of_blocks(CONFIG_T::is_raster_order, from, from + 1,
                                                         outputs::begin_of(to), outputs::end_of(to));
                const neighbour<contract, CONFIG_T> pair(order, true, coords[2 * from], coords[2 * from + 1], row,
                                                         column);
                SPARSE_QONNX_SKIP_IDLE(!pair.is_in_window)
                const unsigned first = order == slot_order::AFTER  ? contract::n_not_after
                                       : order == slot_order::SAME ? contract::n_before
                                                                   : 0;
                const unsigned last = order == slot_order::BEFORE ? contract::n_before
                                      : order == slot_order::SAME ? contract::n_not_after
                                                                  : n_positions;
                for (unsigned p = first; p < last; p++) {
#pragma HLS UNROLL
                    // At most one slot lies at a position, so the selected values are joined by OR.
                    const unsigned y = p / CONFIG_T::kernel_width, x = p % CONFIG_T::kernel_width;
                    const bit_t is_here = pair.is_in_window && pair.down == int(y * CONFIG_T::dilation_height) &&
                                          pair.right == int(x * CONFIG_T::dilation_width);
                    for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
                        const raw_t value = to_raw(features[from * n_channels + c]);
                        gathered[p * n_channels + c] =
                            gathered[p * n_channels + c] | select<raw_t>(is_here, value, raw_t(0));
                    }
                }
            }
            for (unsigned f = 0; f < n_filters; f++) {
#pragma HLS UNROLL
                const unsigned group = f / contract::n_group_filters;
                accum_t sum = 0;
                for (unsigned p = 0; p < n_positions; p++) {
#pragma HLS UNROLL
                    for (unsigned c = 0; c < n_group_channels; c++) {
#pragma HLS UNROLL
                        const raw_t value = gathered[p * n_channels + group * n_group_channels + c];
                        sum += weights[((p + 1) * n_group_channels + c) * n_filters + f] * from_raw<in_T>(value);
                    }
                }
                put_slot<outputs, 1, n_filters>(result, to, at, with_bias<out_T>(sum, biases[f], row != 0), f);
            }
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SPARSE_CONV_H_
