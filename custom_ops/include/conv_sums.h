// The sums of a sparse convolution, one pixel at a time. They are exact by construction of the graph (every partial sum
// fits the element type), so the order of the additions is free.
#ifndef SPARSE_QONNX_CONV_SUMS_H_
#define SPARSE_QONNX_CONV_SUMS_H_

#include <cstdint>

#include "conv_weights.h"
#include "isa.h"
#include "neighbours.h"

namespace sparse_qonnx {

// Sources of an event: features [count][stride], padded with zeros to whole vectors.
template <typename T>
struct Sources {
    const T* features;
    int64_t stride;
    int64_t count;
};

// Adds up `kWidth` neighbouring lanes over all hits and all channels of one group.
template <int kWidth, typename T>
SPARSE_QONNX_INLINE void SumFilters(const ConvWeights<T>& weights, const Sources<T>& sources, const Hit* hits,
                                    int64_t count, int64_t first_channel, int64_t first_lane, T* sums) {
    T total[kWidth] = {};
    const T* packed = weights.packed.data() + first_channel * weights.lanes + first_lane;
    for (int64_t h = 0; h < count; ++h) {
        const T* x = sources.features + hits[h].source * sources.stride + first_channel;
        const T* w = packed + hits[h].tap * weights.tap_size;
        for (int64_t c = 0; c < weights.group_channels; ++c) {
            for (int lane = 0; lane < kWidth; ++lane) {
                total[lane] += x[c] * w[c * weights.lanes + lane];
            }
        }
    }
    for (int lane = 0; lane < kWidth; ++lane) {
        sums[lane] = total[lane];
    }
}

// Products of `kWidth` neighbouring channels, added up over all hits.
template <int kWidth, typename T>
SPARSE_QONNX_INLINE void SumChannels(const ConvWeights<T>& weights, const Sources<T>& sources, const Hit* hits,
                                     int64_t count, int64_t first_lane, T* sums) {
    T total[kWidth] = {};
    for (int64_t h = 0; h < count; ++h) {
        const T* x = sources.features + hits[h].source * sources.stride + first_lane;
        const T* w = weights.packed.data() + hits[h].tap * weights.tap_size + first_lane;
        for (int lane = 0; lane < kWidth; ++lane) {
            total[lane] += x[lane] * w[lane];
        }
    }
    for (int lane = 0; lane < kWidth; ++lane) {
        sums[lane] = total[lane];
    }
}

// One filter a group: what the channels of a group gave becomes its filter's sum.
template <typename T>
SPARSE_QONNX_INLINE void AddUpGroups(const ConvWeights<T>& weights, T* sums) {
    for (int64_t g = 0; g < weights.groups; ++g) {
        T total = sums[g * weights.group_channels];
        for (int64_t c = 1; c < weights.group_channels; ++c) {
            total += sums[g * weights.group_channels + c];
        }
        sums[g] = total;  // filters come before the channels they are made of, so nothing is overwritten too early
    }
}

// Sums of all filters of a pixel: `sums[f]`, room for whole vectors behind the last one.
template <typename T>
SPARSE_QONNX_INLINE void SumHits(const ConvWeights<T>& weights, const Sources<T>& sources, const Hit* hits,
                                 int64_t count, T* sums) {
    const int64_t lanes = weights.lanes;
    if (weights.per_channel) {
        int64_t lane = 0;
        for (; lane + 16 <= lanes; lane += 16) SumChannels<16>(weights, sources, hits, count, lane, sums + lane);
        for (; lane < lanes; lane += 4) SumChannels<4>(weights, sources, hits, count, lane, sums + lane);
        AddUpGroups(weights, sums);
        return;
    }
    for (int64_t g = 0; g < weights.groups; ++g) {
        const int64_t channel = g * weights.group_channels;
        T* group_sums = sums + g * weights.group_filters;
        int64_t lane = 0;
        for (; lane + 16 <= lanes; lane += 16) {
            SumFilters<16>(weights, sources, hits, count, channel, lane, group_sums + lane);
        }
        for (; lane < lanes; lane += 4) {
            SumFilters<4>(weights, sources, hits, count, channel, lane, group_sums + lane);
        }
    }
}

// What the branchless loop below needs: coordinates as 32-bit numbers side by side, filled up to a multiple of kStep.
struct NearbyPixels {
    static constexpr int64_t kStep = 8;
    static constexpr int32_t kLimit = 1 << 30;    // coordinates lie between 0 and this
    static constexpr int32_t kNowhere = -kLimit;  // row of a source that is nobody's neighbour

    SPARSE_QONNX_INLINE void FillUp(int64_t count) {
        for (int64_t s = count; s % kStep != 0; ++s) rows[s] = columns[s] = kNowhere;
    }

    int32_t* rows;
    int32_t* columns;
    int32_t* places;  // scratch: where in the packed weights each source's tap lies
};

// All pairs without a branch: a source that is no neighbour meets the tap of zeros. For few lanes this beats looking
// for hits first, because whether two pixels are neighbours cannot be predicted. Only for finite features and weights.
template <int kWidth, int kChannels, typename T>
SPARSE_QONNX_INLINE void SumAllPairs(const ConvWeights<T>& weights, const Window& window, const Sources<T>& sources,
                                     const NearbyPixels& nearby, int32_t row, int32_t column, T* sums) {
    const auto height = static_cast<uint32_t>(window.height), width = static_cast<uint32_t>(window.width);
    const auto tap_size = static_cast<int32_t>(weights.tap_size);
    const int32_t row_size = static_cast<int32_t>(width) * tap_size;
    const int32_t none = static_cast<int32_t>(window.Taps()) * tap_size;
    const int32_t first_row = row - static_cast<int32_t>(window.Top());
    const int32_t first_column = column - static_cast<int32_t>(window.Left());
    const int32_t *rows = nearby.rows, *columns = nearby.columns;
    int32_t* __restrict places = nearby.places;
    for (int64_t start = 0; start < sources.count; start += NearbyPixels::kStep) {
        for (int64_t s = start; s < start + NearbyPixels::kStep; ++s) {
            const int32_t y = rows[s] - first_row, x = columns[s] - first_column;
            const bool hit = (static_cast<uint32_t>(y) < height) & (static_cast<uint32_t>(x) < width);
            places[s] = hit ? y * row_size + x * tap_size : none;
        }
    }
    T total[kWidth] = {};
    const T *packed = weights.packed.data(), *x = sources.features;
    for (int64_t s = 0; s < sources.count; ++s, x += sources.stride) {
        const T* w = packed + places[s];
        for (int c = 0; c < (kChannels == 0 ? 1 : kChannels); ++c) {
            for (int lane = 0; lane < kWidth; ++lane) {
                total[lane] += (kChannels == 0 ? x[lane] : x[c]) * w[c * kWidth + lane];
            }
        }
    }
    for (int lane = 0; lane < kWidth; ++lane) {
        sums[lane] = total[lane];
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_CONV_SUMS_H_
