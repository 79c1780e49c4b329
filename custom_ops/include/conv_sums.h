// The sums of a sparse convolution, one pixel at a time. They are exact by construction of the graph (every partial sum
// fits the element type), so the order of the additions is free.
#ifndef SPARSE_QONNX_CONV_SUMS_H_
#define SPARSE_QONNX_CONV_SUMS_H_

#include <cstdint>
#include <cstring>

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

// Vectors of the compiler's, named as such: left to itself it does not reliably see them in these loops. Of 16 bytes,
// which every processor has; wider ones would be taken apart, badly, where there are none.
template <typename T>
struct Vector {
    typedef T Type __attribute__((vector_size(16)));
    static constexpr int kWidth = 16 / sizeof(T);
};

template <typename V, typename T>
SPARSE_QONNX_INLINE void Load(const T* values, V* vector) {
    std::memcpy(vector, values, sizeof(V));
}

// Adds up `kLanes` neighbouring lanes over all hits and all channels of one group.
template <int kLanes, typename T>
SPARSE_QONNX_INLINE void SumFilters(const ConvWeights<T>& weights, const Sources<T>& sources, const Hit* hits,
                                    int64_t count, int64_t first_channel, int64_t first_lane, T* sums) {
    using V = typename Vector<T>::Type;
    constexpr int kWidth = Vector<T>::kWidth, kCount = kLanes / kWidth;
    V totals[kCount] = {};
    const T* packed = weights.packed.data() + first_channel * weights.lanes + first_lane;
    const int64_t channels = weights.group_channels, lanes = weights.lanes, tap_size = weights.tap_size;
    for (int64_t h = 0; h < count; ++h) {
        const T* x = sources.features + hits[h].source * sources.stride + first_channel;
        const T* w = packed + hits[h].tap * tap_size;
        for (int64_t c = 0; c < channels; ++c, w += lanes) {
            for (int i = 0; i < kCount; ++i) {
                V loaded;
                Load(w + i * kWidth, &loaded);
                totals[i] += x[c] * loaded;
            }
        }
    }
    std::memcpy(sums, totals, sizeof(totals));
}

// Products of one vector of neighbouring channels, added up over all hits.
template <typename T>
SPARSE_QONNX_INLINE void SumChannels(const ConvWeights<T>& weights, const Sources<T>& sources, const Hit* hits,
                                     int64_t count, int64_t first_lane, T* sums) {
    using V = typename Vector<T>::Type;
    V total = {};
    for (int64_t h = 0; h < count; ++h) {
        V x, w;
        Load(sources.features + hits[h].source * sources.stride + first_lane, &x);
        Load(weights.packed.data() + hits[h].tap * weights.tap_size + first_lane, &w);
        total += x * w;
    }
    std::memcpy(sums, &total, sizeof(total));
}

// One filter a group: what the channels of a group gave becomes its filter's sum. `sums` may be `products`: filters
// come before the channels they are made of, so nothing is overwritten too early.
template <typename T>
SPARSE_QONNX_INLINE void AddUpGroups(const ConvWeights<T>& weights, const T* products, T* sums) {
    for (int64_t g = 0; g < weights.groups; ++g) {
        T total = products[g * weights.group_channels];
        for (int64_t c = 1; c < weights.group_channels; ++c) {
            total += products[g * weights.group_channels + c];
        }
        sums[g] = total;
    }
}

// Sums of all filters of a pixel: `sums[f]`, room for whole vectors behind the last one.
template <typename T>
SPARSE_QONNX_INLINE void SumHits(const ConvWeights<T>& weights, const Sources<T>& sources, const Hit* hits,
                                 int64_t count, T* sums) {
    const int64_t lanes = weights.lanes;
    if (weights.per_channel) {
        for (int64_t lane = 0; lane < lanes; lane += Vector<T>::kWidth) {
            SumChannels(weights, sources, hits, count, lane, sums + lane);
        }
        AddUpGroups(weights, sums, sums);
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

// Sources with coordinates as 32-bit numbers side by side, and at most kLanes features each. Filled up to a multiple of
// kStep with sources that are nobody's neighbour.
template <typename T>
struct NearbyPixels {
    static constexpr int kStep = 8;
    static constexpr int kLanes = ConvWeights<T>::kLanes;
    static constexpr int32_t kLimit = 1 << 30;  // coordinates lie between 0 and this
    static constexpr int32_t kNowhere = -kLimit;

    SPARSE_QONNX_INLINE void FillUp(int64_t count) {
        for (int64_t s = count; s % kStep != 0; ++s) {
            rows[s] = columns[s] = kNowhere;
            for (int lane = 0; lane < kLanes; ++lane) features[s * kLanes + lane] = 0;
        }
    }

    int32_t* rows;
    int32_t* columns;
    T* features;
};

// All pairs without a branch: a source that is no neighbour meets the tap of zeros. For few lanes this beats looking
// for hits first, because whether two pixels are neighbours cannot be predicted. Only for finite features and weights.
// `kChannels` counts the channels of weights that are laid out per filter; 0 means per channel.
template <int kChannels, typename T>
SPARSE_QONNX_INLINE void SumAllPairs(const ConvWeights<T>& weights, const Window& window,
                                     const NearbyPixels<T>& sources, int64_t count, int32_t row, int32_t column,
                                     T* sums) {
    constexpr int kLanes = NearbyPixels<T>::kLanes, kStep = NearbyPixels<T>::kStep;
    constexpr int kTapSize = kChannels == 0 ? kLanes : kChannels * kLanes;
    const auto height = static_cast<uint32_t>(window.height), width = static_cast<uint32_t>(window.width);
    // Unsigned: what is computed for a source that is no neighbour may wrap around, and is not used.
    const uint32_t row_size = width * kTapSize, none = static_cast<uint32_t>(window.Taps()) * kTapSize;
    const uint32_t first_row = static_cast<uint32_t>(row) - static_cast<uint32_t>(window.Top());
    const uint32_t first_column = static_cast<uint32_t>(column) - static_cast<uint32_t>(window.Left());
    const T *packed = weights.packed.data(), *features = sources.features;
    const int32_t *rows = sources.rows, *columns = sources.columns;
    using V = typename Vector<T>::Type;
    using Words = Vector<uint32_t>::Type;
    constexpr int kWidth = Vector<T>::kWidth, kParts = kLanes / kWidth;
    constexpr int kChains = 4;  // of additions, so that one need not wait for the other
    V totals[kChains][kParts] = {};
    for (int64_t start = 0; start < count; start += kStep, features += kStep * kLanes) {
        uint32_t places[kStep];
        for (int s = 0; s < kStep; s += 4) {
            Words y, x;
            std::memcpy(&y, rows + start + s, sizeof(y));
            std::memcpy(&x, columns + start + s, sizeof(x));
            y -= first_row;
            x -= first_column;
            const Words hit = reinterpret_cast<Words>((y < height) & (x < width));
            const Words place = (hit & (y * row_size + x * kTapSize)) | (~hit & none);
            std::memcpy(places + s, &place, sizeof(place));
        }
        for (int s = 0; s < kStep; ++s) {
            const T *x = features + s * kLanes, *w = packed + places[s];
            for (int c = 0; c < (kChannels == 0 ? 1 : kChannels); ++c) {
                for (int part = 0; part < kParts; ++part) {
                    V weight, value;
                    Load(w + c * kLanes + part * kWidth, &weight);
                    Load(x + part * kWidth, &value);
                    totals[s % kChains][part] += kChannels == 0 ? value * weight : x[c] * weight;
                }
            }
        }
    }
    for (int part = 0; part < kParts; ++part) {
        const V total = (totals[0][part] + totals[1][part]) + (totals[2][part] + totals[3][part]);
        std::memcpy(sums + part * kWidth, &total, sizeof(total));
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_CONV_SUMS_H_
