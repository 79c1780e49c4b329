#ifndef SPARSE_QONNX_GATHER_H_
#define SPARSE_QONNX_GATHER_H_

#include "common/blocks.h"
#include "common/number.h"
#include "common/select.h"

namespace sparse_qonnx {

// Activation tables: result[i] = table[index[i]].
//
//   index [n_pixels, n_channels], integers of 0 .. table_size - 1; table [table_size]  ->  result [n_pixels,
//   n_channels]
//
// pixels_per_cycle pixels a cycle, the channels of a pixel at once; each value has its own read port, and every two
// ports are a copy of the table. CONFIG_T: n_pixels, n_channels, table_size, pixels_per_cycle.
template <class index_T, class out_T, typename CONFIG_T, class table_T>
void gather(const index_T index[CONFIG_T::n_pixels * CONFIG_T::n_channels],
            out_T result[CONFIG_T::n_pixels * CONFIG_T::n_channels], const table_T table[CONFIG_T::table_size]) {
    static_assert(number_traits<index_T>::fraction <= 0, "gather: an index is an integer");
    static_assert(number_traits<out_T>::fraction >= number_traits<table_T>::fraction, "gather: out_T would drop bits");
    typedef blocks<CONFIG_T::n_pixels, CONFIG_T::pixels_per_cycle> lanes;
    typedef ap_uint<bits_for<CONFIG_T::table_size>::value> place_t;
    static const unsigned n_channels = CONFIG_T::n_channels;
#pragma HLS ARRAY_PARTITION variable = index complete
#pragma HLS ARRAY_PARTITION variable = result complete
    for (unsigned step = 0; step < lanes::n_steps; step++) {
#pragma HLS PIPELINE II = 1
        SPARSE_QONNX_LOOP(step, lanes::n_steps, 1)
        const ap_uint<bits_for<lanes::n_steps - 1>::value> at = varying<lanes::n_steps>(step);
        for (unsigned lane = 0; lane < lanes::n_lanes; lane++) {
#pragma HLS UNROLL
            SPARSE_QONNX_SKIP_IDLE(!lanes::is_slot(lane, step))
            for (unsigned c = 0; c < n_channels; c++) {
#pragma HLS UNROLL
                const place_t place = pick_slot<lanes, 1, n_channels>(index, lane, at, c);
                const out_T value = pick<CONFIG_T::table_size>(table, place);
                put_slot<lanes, 1, n_channels>(result, lane, at, value, c);
            }
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_GATHER_H_
