#ifndef SPARSE_QONNX_COMMON_COMPACT_H_
#define SPARSE_QONNX_COMMON_COMPACT_H_

#include "blocks.h"
#include "number.h"
#include "select.h"

namespace sparse_qonnx {

// counts[i] becomes counts[0] + .. + counts[i]: a prefix sum in log2(N) levels of N / 2 additions.
template <unsigned N, class count_T>
void add_up_before(count_T counts[N]) {
#pragma HLS INLINE
    for (unsigned half = 1; half < N; half *= 2) {
#pragma HLS UNROLL
        for (unsigned i = 0; i < N; i++) {
#pragma HLS UNROLL
            if (i & half) counts[i] = counts[i] + counts[(i & ~(half - 1)) - 1];
        }
    }
}

// Pixels of a chunk: their values, and the number of pixels of the chunk before each, less those before it in the list.
template <unsigned N, class out_T, class place_T, typename CONFIG_T>
struct pixel_list {
    out_T values[N * CONFIG_T::n_channels];
    place_T places[N];
    bit_t is_kept[N];

    // Entry `to` becomes entry `from` where `condition` holds.
    void move(const bit_t condition, const unsigned to, const unsigned from) {
#pragma HLS INLINE
        places[to] = select(condition, places[from], places[to]);
        for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
            values[to * CONFIG_T::n_channels + c] =
                select(condition, values[from * CONFIG_T::n_channels + c], values[to * CONFIG_T::n_channels + c]);
        }
    }

    // Kept pixels move forward by their `places`, by powers of two, the smallest first: order is kept, so two never
    // meet. Those that come to the first LIMIT entries are right; the others do not matter.
    template <unsigned LIMIT>
    void compact() {
#pragma HLS INLINE
        static const unsigned reach = 1 << levels_for<N>::value;  // compacting moves by less
        for (unsigned shift = 0; (1u << shift) < N; shift++) {
#pragma HLS UNROLL
            const unsigned distance = 1 << shift;
            for (unsigned i = 0; i < N; i++) {
#pragma HLS UNROLL
                // Further back than the shifts to come can reach, nothing is of use.
                if (i >= LIMIT + reach - 2 * distance) continue;
                const bit_t stays = is_kept[i] && !bit_at(places[i], shift);
                if (i + distance < N) {
                    const bit_t moves_in = is_kept[i + distance] && bit_at(places[i + distance], shift);
                    move(moves_in, i, i + distance);
                    is_kept[i] = moves_in || stays;
                } else {
                    is_kept[i] = stays;
                }
            }
        }
    }

    // The first entries of a compacted list, with their places in the chunk.
    template <unsigned M>
    void take(const pixel_list<M, out_T, place_T, CONFIG_T>& from) {
#pragma HLS INLINE
        for (unsigned i = 0; i < N; i++) {
#pragma HLS UNROLL
            const unsigned source = i < M ? i : 0;
            is_kept[i] = i < M ? from.is_kept[source] : bit_t(false);
            places[i] = from.places[source] + place_T(source);
            for (unsigned c = 0; c < CONFIG_T::n_channels; c++) {
#pragma HLS UNROLL
                values[i * CONFIG_T::n_channels + c] = from.values[source * CONFIG_T::n_channels + c];
            }
        }
    }

    // All move back by `distance`, 0 .. N, by powers of two.
    template <class count_T>
    void move_back(const count_T& distance) {
#pragma HLS INLINE
        for (unsigned shift = 0; (1u << shift) <= N; shift++) {
#pragma HLS UNROLL
            const bit_t moves = bit_at(distance, shift);
            for (unsigned i = N; i-- > 0;) {
#pragma HLS UNROLL
                const unsigned from = i >= (1u << shift) ? i - (1u << shift) : N;
                if (from < N) move(moves, i, from);
                const bit_t comes = from < N ? is_kept[from < N ? from : 0] : bit_t(false);
                is_kept[i] = (moves && comes) || (!moves && is_kept[i]);
            }
        }
    }
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_COMMON_COMPACT_H_
