#ifndef SPARSE_QONNX_FIXED_POINT_QUANT_H_
#define SPARSE_QONNX_FIXED_POINT_QUANT_H_

#include "common/number.h"
#include "common/rounding.h"
#include "common/select.h"

namespace sparse_qonnx {

// Fixed-point quantizers, in integers.
//
// An input is n * 2^-fraction / divisor. Per format the generator gives
//   width   k + i + f, the bits of the output with its sign; 0 makes it 0
//   shift   bits that fall off: output = round(n * 2^up_shift / (divisor * 2^shift)), a multiple of 2^-f
//   sign    whether negative outputs exist
// and CONFIG_T holds
//   rounding_mode, overflow_mode
//   up_shift        bits by which n is widened so that no format needs a left shift before it rounds
//   align           bits of shift above which an output, on the grid of 2^-f, has to move left onto out_T's grid
//   max_width       the largest width
//   max_shift       the largest shift: it may drop more bits than an input has
//   divisor, multiplier, multiplier_shift   see divide(); 1, 1, 0 without a pending divisor
//
// A 0 quantizes to 0 in every mode, so empty slots stay 0 by themselves.

// One value. `shift` and `width` are constants after unrolling, or table entries.
template <class in_T, class out_T, typename CONFIG_T, class shift_T, class width_T>
out_T quantize(const in_T& value, const shift_T& shift, const width_T& width, const bit_t is_signed) {
#pragma HLS INLINE
    static const int n_bits = number_traits<in_T>::width + 1 + CONFIG_T::up_shift;
    static const int format_bits = CONFIG_T::max_width + 1;
    static const int needed = larger<n_bits, format_bits>::value;
    static const int work_bits = larger<needed, CONFIG_T::max_shift>::value + 1;  // one more: rounding up, 2^max_shift
    static const int out_bits = larger<work_bits, number_traits<out_T>::width>::value + 1;
    static_assert(CONFIG_T::divisor >= 1, "fixed_point_quant: a pending divisor is 1 or more");

    const ap_int<work_bits> n = ap_int<work_bits>(to_raw(value)) << CONFIG_T::up_shift;
    const quotient<work_bits> q = divide<CONFIG_T>(n, shift);
    const ap_int<work_bits> rounded = round<CONFIG_T::rounding_mode>(q);
    const ap_int<work_bits> fitted = wrap_or_saturate<CONFIG_T::overflow_mode>(rounded, q, width, is_signed);
    const ap_int<out_bits> aligned = ap_int<out_bits>(fitted) << (ap_int<12>(shift) - ap_int<12>(CONFIG_T::align));
    return from_raw<out_T>(select<ap_int<out_bits> >(width == 0, 0, aligned));
}

// One format for all values: data[n] -> result[n].
// CONFIG_T adds n_values, and the format as constants: shift, width, is_signed.
template <class in_T, class out_T, typename CONFIG_T>
void fixed_point_quant(const in_T data[CONFIG_T::n_values], out_T result[CONFIG_T::n_values]) {
#pragma HLS PIPELINE
    for (unsigned i = 0; i < CONFIG_T::n_values; i++) {
#pragma HLS UNROLL
        result[i] = quantize<in_T, out_T, CONFIG_T>(data[i], int(CONFIG_T::shift), int(CONFIG_T::width),
                                                    bool(CONFIG_T::is_signed));
    }
}

// One format per channel: data[n_rows, n_channels] -> result, formats[n_channels].
template <class in_T, class out_T, typename CONFIG_T, class shift_T, class width_T, class sign_T>
void fixed_point_quant_by_channel(const in_T data[CONFIG_T::n_rows * CONFIG_T::n_channels],
                                  out_T result[CONFIG_T::n_rows * CONFIG_T::n_channels],
                                  const shift_T shift[CONFIG_T::n_channels], const width_T width[CONFIG_T::n_channels],
                                  const sign_T is_signed[CONFIG_T::n_channels]) {
#pragma HLS PIPELINE
    for (unsigned row = 0; row < CONFIG_T::n_rows; row++) {
#pragma HLS UNROLL
        for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
            const unsigned i = row * CONFIG_T::n_channels + c;
            result[i] = quantize<in_T, out_T, CONFIG_T>(data[i], shift[c], width[c], is_signed[c] != 0);
        }
    }
}

// One format per pixel of the image: features[n_slots, n_channels] at coords[n_slots, 2] -> result.
// The maps are [map_height, map_width, map_channels], each dimension the image's or 1, read at (row - 1, column - 1).
// Empty slots give 0, whatever pixel (0, 0) says.
template <class in_T, class coord_T, class out_T, typename CONFIG_T, class shift_T, class width_T, class sign_T>
void fixed_point_quant_by_pixel(
    const in_T features[CONFIG_T::n_slots * CONFIG_T::n_channels], const coord_T coords[2 * CONFIG_T::n_slots],
    out_T result[CONFIG_T::n_slots * CONFIG_T::n_channels],
    const shift_T shift[CONFIG_T::map_height * CONFIG_T::map_width * CONFIG_T::map_channels],
    const width_T width[CONFIG_T::map_height * CONFIG_T::map_width * CONFIG_T::map_channels],
    const sign_T is_signed[CONFIG_T::map_height * CONFIG_T::map_width * CONFIG_T::map_channels]) {
    static_assert(CONFIG_T::map_channels == 1 || CONFIG_T::map_channels == CONFIG_T::n_channels,
                  "fixed_point_quant_by_pixel: a map has one channel or as many as the features");
    static const unsigned n_places = CONFIG_T::map_height * CONFIG_T::map_width;
    typedef ap_uint<bits_for<n_places>::value> place_t;
    for (unsigned slot = 0; slot < CONFIG_T::n_slots; slot++) {
// One slot per cycle: the maps are ROMs, and every slot read at once would be a copy of them.
#pragma HLS PIPELINE II = 1
        SPARSE_QONNX_LOOP(slot, CONFIG_T::n_slots, 1)
        const ap_uint<bits_for<CONFIG_T::n_slots - 1>::value> at = varying<CONFIG_T::n_slots>(slot);
        const coord_T row = pick<CONFIG_T::n_slots, 2>(coords, at, 0),
                      column = pick<CONFIG_T::n_slots, 2>(coords, at, 1);
        const bit_t is_active = row != 0;
        place_t place = 0;  // of an empty slot: any
        if (CONFIG_T::map_height > 1) place = (place_t(row) - place_t(1)) * place_t(CONFIG_T::map_width);
        if (CONFIG_T::map_width > 1) place = place + place_t(column) - place_t(1);
        for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
            const unsigned channel = CONFIG_T::map_channels == 1 ? 0 : c;
            const shift_T own_shift = pick<n_places, CONFIG_T::map_channels>(shift, place, channel);
            const width_T own_width = pick<n_places, CONFIG_T::map_channels>(width, place, channel);
            const sign_T own_sign = pick<n_places, CONFIG_T::map_channels>(is_signed, place, channel);
            const in_T given = pick<CONFIG_T::n_slots, CONFIG_T::n_channels>(features, at, c);
            const out_T value = quantize<in_T, out_T, CONFIG_T>(given, own_shift, own_width, own_sign != 0);
            put<CONFIG_T::n_slots, CONFIG_T::n_channels>(result, at, select<out_T>(is_active, value, out_T(0)), true,
                                                         c);
        }
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_FIXED_POINT_QUANT_H_
