#ifndef SPARSE_QONNX_DENSE_H_
#define SPARSE_QONNX_DENSE_H_

#include "common/blocks.h"
#include "common/number.h"
#include "common/select.h"

namespace sparse_qonnx {

// Matrix product with a constant matrix, and a bias: result = data x weights + biases.
//
//   data [n_rows, n_inputs], weights [n_inputs, n_outputs], biases [n_outputs]  ->  result [n_rows, n_outputs]
//
// CONFIG_T: n_rows, n_inputs, n_outputs, accum_t (holds every sum exactly).

template <class in_T, class weight_T, class bias_T, typename CONFIG_T>
struct dense_contract {
    typedef typename CONFIG_T::accum_t accum_t;
    static_assert(number_traits<accum_t>::fraction >= number_traits<in_T>::fraction + number_traits<weight_T>::fraction,
                  "dense: accum_t would drop bits of a product");
    static_assert(number_traits<accum_t>::fraction >= number_traits<bias_T>::fraction,
                  "dense: accum_t would drop bits of a bias");
};

// All at once: every weight is a constant, its product shifts and additions.
template <class in_T, class out_T, typename CONFIG_T, class weight_T, class bias_T>
void dense(const in_T data[CONFIG_T::n_rows * CONFIG_T::n_inputs], out_T result[CONFIG_T::n_rows * CONFIG_T::n_outputs],
           const weight_T weights[CONFIG_T::n_inputs * CONFIG_T::n_outputs], const bias_T biases[CONFIG_T::n_outputs]) {
    typedef typename dense_contract<in_T, weight_T, bias_T, CONFIG_T>::accum_t accum_t;
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
#pragma HLS ARRAY_PARTITION variable = weights complete
#pragma HLS ARRAY_PARTITION variable = biases complete
    for (unsigned row = 0; row < CONFIG_T::n_rows; row++) {
#pragma HLS UNROLL
        accum_t sums[CONFIG_T::n_outputs];
#pragma HLS ARRAY_PARTITION variable = sums complete
        for (unsigned o = 0; o < CONFIG_T::n_outputs; o++) {
#pragma HLS UNROLL
            sums[o] = biases[o];
        }
        for (unsigned i = 0; i < CONFIG_T::n_inputs; i++) {
#pragma HLS UNROLL
            SPARSE_QONNX_SKIP_IDLE(data[row * CONFIG_T::n_inputs + i] == 0)
            for (unsigned o = 0; o < CONFIG_T::n_outputs; o++) {
#pragma HLS UNROLL
                sums[o] += weights[i * CONFIG_T::n_outputs + o] * data[row * CONFIG_T::n_inputs + i];
            }
        }
        for (unsigned o = 0; o < CONFIG_T::n_outputs; o++) {
#pragma HLS UNROLL
            result[row * CONFIG_T::n_outputs + o] = sums[o];
        }
    }
}

// All at once through an adder graph: distributed arithmetic, without a multiplier. Values 0 .. n_inputs - 1 are the
// inputs, and each adder gives the next one:
//
//   adders [n_adders, 5]   first operand, its left shift, second operand, its left shift, 1 for the difference
//   outputs [n_outputs, 4] value, left shift, right shift (drops zeros only), sign: 0 for 0, 1, or 2 for the negative
//
// CONFIG_T adds n_adders, value_t (an ap_int that holds every value), product_t (the sums without the biases).
template <class in_T, class out_T, typename CONFIG_T, class adder_T, class output_T, class bias_T>
void dense_adders(const in_T data[CONFIG_T::n_rows * CONFIG_T::n_inputs],
                  out_T result[CONFIG_T::n_rows * CONFIG_T::n_outputs], const adder_T adders[5 * CONFIG_T::n_adders],
                  const output_T outputs[4 * CONFIG_T::n_outputs], const bias_T biases[CONFIG_T::n_outputs]) {
    typedef typename CONFIG_T::product_t product_t;
    typedef ap_int<number_traits<typename CONFIG_T::value_t>::width + 1> value_t;  // and its negative
    static const unsigned n_inputs = CONFIG_T::n_inputs, n_outputs = CONFIG_T::n_outputs;
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
#pragma HLS ARRAY_PARTITION variable = adders complete
#pragma HLS ARRAY_PARTITION variable = outputs complete
#pragma HLS ARRAY_PARTITION variable = biases complete
    for (unsigned row = 0; row < CONFIG_T::n_rows; row++) {
#pragma HLS UNROLL
        value_t values[n_inputs + CONFIG_T::n_adders];
#pragma HLS ARRAY_PARTITION variable = values complete
        for (unsigned i = 0; i < n_inputs; i++) {
#pragma HLS UNROLL
            values[i] = to_raw(data[row * n_inputs + i]);
        }
        for (unsigned n = 0; n < CONFIG_T::n_adders; n++) {
#pragma HLS UNROLL
            const value_t first = values[unsigned(adders[5 * n])] << unsigned(adders[5 * n + 1]);
            const value_t second = values[unsigned(adders[5 * n + 2])] << unsigned(adders[5 * n + 3]);
            if (unsigned(adders[5 * n + 4]) != 0) {  // a constant
                values[n_inputs + n] = first - second;
            } else {
                values[n_inputs + n] = first + second;
            }
        }
        for (unsigned o = 0; o < n_outputs; o++) {
#pragma HLS UNROLL
            const value_t moved = values[unsigned(outputs[4 * o])] << unsigned(outputs[4 * o + 1]);
            value_t sum = moved >> unsigned(outputs[4 * o + 2]);
            if (unsigned(outputs[4 * o + 3]) == 0) sum = 0;
            if (unsigned(outputs[4 * o + 3]) == 2) sum = -sum;
            result[row * n_outputs + o] = out_T(from_raw<product_t>(sum) + biases[o]);
        }
    }
}

// Some inputs per cycle, each with its row of weights from a ROM: reuse_factor cycles for a row of data, and
// ceil(n_inputs / reuse_factor) * n_outputs multipliers.
// CONFIG_T adds inputs_per_cycle = ceil(n_inputs / reuse_factor).
template <class in_T, class out_T, typename CONFIG_T, class weight_T, class bias_T>
void dense_reuse(const in_T data[CONFIG_T::n_rows * CONFIG_T::n_inputs],
                 out_T result[CONFIG_T::n_rows * CONFIG_T::n_outputs],
                 const weight_T weights[CONFIG_T::n_inputs * CONFIG_T::n_outputs],
                 const bias_T biases[CONFIG_T::n_outputs]) {
    typedef typename dense_contract<in_T, weight_T, bias_T, CONFIG_T>::accum_t accum_t;
    typedef blocks<CONFIG_T::n_inputs, CONFIG_T::inputs_per_cycle> lanes;
    typedef ap_uint<bits_for<lanes::n_steps - 1>::value> step_t;
    static const unsigned n_rows = CONFIG_T::n_rows, n_inputs = CONFIG_T::n_inputs, n_outputs = CONFIG_T::n_outputs;
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = result complete
#pragma HLS ARRAY_RESHAPE variable = weights block factor = lanes::n_lanes
    accum_t sums[n_outputs];
#pragma HLS ARRAY_PARTITION variable = sums complete
    for (unsigned o = 0; o < n_outputs; o++) {
#pragma HLS UNROLL
        sums[o] = 0;
    }
    SPARSE_QONNX_REGISTERS(sums, n_outputs)
    for (unsigned row = 0; row < n_rows; row++) {
        SPARSE_QONNX_LOOP(row, n_rows, 1)
        for (unsigned step = 0; step < lanes::n_steps; step++) {
#pragma HLS PIPELINE II = 1
            SPARSE_QONNX_LOOP(step, lanes::n_steps, 1)
            const ap_uint<bits_for<n_rows - 1>::value> at = varying<n_rows>(row);
            const step_t with = varying<lanes::n_steps>(step);
            for (unsigned o = 0; o < n_outputs; o++) {
#pragma HLS UNROLL
                sums[o] = select<accum_t>(with == 0, accum_t(biases[o]), sums[o]);
            }
            for (unsigned lane = 0; lane < lanes::n_lanes; lane++) {
#pragma HLS UNROLL
                SPARSE_QONNX_SKIP_IDLE(!lanes::is_slot(lane, step))
                const bit_t has_input = lanes::has_slot(lane, with);
                in_T row_values[n_inputs];
#pragma HLS ARRAY_PARTITION variable = row_values complete
                for (unsigned i = lanes::begin_of(lane); i < lanes::end_of(lane); i++) {
#pragma HLS UNROLL
                    row_values[i] = pick<n_rows, n_inputs>(data, at, i);
                }
                const step_t own = select<step_t>(has_input, with, step_t(0));  // no weight is read that is not there
                const in_T value = select<in_T>(has_input, pick_slot<lanes, 1, 1>(row_values, lane, own, 0), in_T(0));
                for (unsigned o = 0; o < n_outputs; o++) {
#pragma HLS UNROLL
                    sums[o] += pick_slot<lanes, 1, n_outputs>(weights, lane, own, o) * value;
                }
            }
            for (unsigned o = 0; o < n_outputs; o++) {
#pragma HLS UNROLL
                put<n_rows, n_outputs>(result, at, out_T(sums[o]), with == lanes::n_steps - 1, o);
            }
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_DENSE_H_
