#ifndef SPARSE_QONNX_REARRANGE_H_
#define SPARSE_QONNX_REARRANGE_H_

#include "common/number.h"

namespace sparse_qonnx {

// Any rearrangement, some values several times or never, with one constant in between: wires.
//
//   data [n_data], places [n_values]  ->  result [n_values]: data[places[i]], or `fill` where places[i] is n_data
//
// CONFIG_T: n_data, n_values, fill_t, fill: an integer in steps of fill_t.
template <class in_T, class out_T, typename CONFIG_T, class place_T>
void rearrange(const in_T data[CONFIG_T::n_data], out_T result[CONFIG_T::n_values],
               const place_T places[CONFIG_T::n_values]) {
    typedef typename CONFIG_T::fill_t fill_t;
    static_assert(number_traits<out_T>::fraction >= number_traits<in_T>::fraction, "rearrange: out_T would drop bits");
    static_assert(number_traits<out_T>::fraction == number_traits<fill_t>::fraction,
                  "rearrange: the constant needs the binary point of the result");
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
#pragma HLS ARRAY_PARTITION variable = places complete
    const fill_t fill = from_raw<fill_t>(ap_int<64>(CONFIG_T::fill));
    for (unsigned i = 0; i < CONFIG_T::n_values; i++) {
#pragma HLS UNROLL
        const unsigned place = unsigned(places[i]);  // a constant
        if (place < CONFIG_T::n_data) {
            result[i] = out_T(data[place]);
        } else {
            result[i] = out_T(fill);
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_REARRANGE_H_
