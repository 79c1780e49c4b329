// A convolution's weights, rearranged so that the inner loop reads them one after the other.
#ifndef SPARSE_QONNX_CONV_WEIGHTS_H_
#define SPARSE_QONNX_CONV_WEIGHTS_H_

#include <cmath>
#include <cstdint>
#include <vector>

#include "tensor.h"

namespace sparse_qonnx {

// Two layouts, by which loop is innermost:
//   per filter    [tap][group][channel of group][filter of group, padded to lanes]   sums of a pixel's filters
//   per channel   [tap][channel, padded to lanes]   one filter a group: products of all channels, summed up at the end
// A tap of zeros behind the last one stands for "no neighbour".
template <typename T>
struct ConvWeights {
    static constexpr int64_t kLanes = 4;  // what vectors are padded to a multiple of

    ConvWeights(const Tensor& w, int64_t group) : groups(group) {
        const T* values = w.as<T>();
        const int64_t taps = w.shape[2] * w.shape[3];
        group_channels = w.shape[1];
        group_filters = w.shape[0] / group;
        per_channel = group_filters == 1;
        const int64_t inner = per_channel ? group * group_channels : group_filters;
        lanes = (inner + kLanes - 1) / kLanes * kLanes;
        tap_size = per_channel ? lanes : group * group_channels * lanes;
        packed.assign(static_cast<size_t>((taps + 1) * tap_size), T(0));
        for (int64_t f = 0; f < w.shape[0]; ++f) {
            const int64_t g = f / group_filters;
            for (int64_t c = 0; c < group_channels; ++c) {
                const int64_t channel = g * group_channels + c;
                const int64_t place = per_channel ? channel : channel * lanes + f % group_filters;
                for (int64_t tap = 0; tap < taps; ++tap) {
                    const T value = values[(f * group_channels + c) * taps + tap];
                    finite = finite && std::isfinite(value);
                    packed[static_cast<size_t>(tap * tap_size + place)] = value;
                }
            }
        }
    }

    int64_t groups, group_channels, group_filters;
    bool per_channel;
    int64_t lanes, tap_size;
    bool finite = true;  // only then does a zero feature contribute nothing
    std::vector<T> packed;
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_CONV_WEIGHTS_H_
