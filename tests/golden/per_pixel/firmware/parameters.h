#ifndef PARAMETERS_H_
#define PARAMETERS_H_

#include "defines.h"
#include "kernels/fixed_point_quant.h"
#include "kernels/fork.h"
#include "kernels/input_reduce.h"
#include "kernels/sparse_conv.h"
#include "kernels/sparse_dense.h"
#include "kernels/sparse_pool.h"
#include "kernels/sparse_to_dense.h"
#include "weights/conv_weights.h"
#include "weights/conv_biases.h"
#include "weights/conv_oq_shift.h"
#include "weights/conv_oq_width.h"
#include "weights/conv_oq_sign.h"
#include "weights/out_weights.h"
#include "weights/out_biases.h"

namespace net {

// r (InputReduce): [4, 5, 2] -> [3, 2], [3, 2]
struct r_config {
    static const unsigned height = 4;
    static const unsigned width = 5;
    static const unsigned n_channels = 2;
    static const unsigned n_slots = 3;
    static const int threshold = 0;
    static const unsigned pixels_per_cycle = 5;
};

// r.coords for conv (fork): [3, 2] -> [3, 2], [3, 2]
struct fork_conv_config {
    static const unsigned n_values = 6;
};

// conv (SparseConv): [3, 2], [3, 2] -> [3, 2]
struct conv_config {
    static const unsigned n_slots = 3;
    static const unsigned n_channels = 2;
    static const unsigned n_filters = 2;
    static const unsigned n_groups = 1;
    static const unsigned kernel_height = 1;
    static const unsigned kernel_width = 3;
    static const unsigned dilation_height = 1;
    static const unsigned dilation_width = 1;
    static const unsigned pad_top = 0;
    static const unsigned pad_left = 1;
    typedef ap_fixed<9,4> accum_t;
    static const bool is_raster_order = true;
    static const unsigned pixels_per_cycle = 2;
    static const unsigned inputs_per_cycle = 3;
    static const unsigned filters_per_cycle = 2;
    static const unsigned channels_per_cycle = 2;
};

// r.coords for conv.oq (fork): [3, 2] -> [3, 2], [3, 2]
struct fork_conv_oq_config {
    static const unsigned n_values = 6;
};

// conv.oq (FixedPointQuant): [3, 2], [3, 2] -> [3, 2]
struct conv_oq_config {
    static const sparse_qonnx::rounding rounding_mode = sparse_qonnx::rounding::RND_CONV;
    static const sparse_qonnx::overflow overflow_mode = sparse_qonnx::overflow::SAT_SYM;
    static const unsigned up_shift = 0;
    static const int align = 2;
    static const unsigned max_width = 5;
    static const unsigned max_shift = 5;
    static const unsigned divisor = 1;
    static const unsigned multiplier = 1;
    static const unsigned multiplier_shift = 0;
    static const unsigned n_slots = 3;
    static const unsigned n_channels = 2;
    static const unsigned map_height = 4;
    static const unsigned map_width = 5;
    static const unsigned map_channels = 2;
};

// pool (SparsePool): [3, 2], [3, 2] -> [3, 2], [3, 2]
struct pool_config {
    static const sparse_qonnx::pooling mode = sparse_qonnx::pooling::AVERAGE;
    static const unsigned n_slots = 3;
    static const unsigned n_channels = 2;
    static const unsigned height = 4;
    static const unsigned width = 5;
    static const unsigned window_height = 3;
    static const unsigned window_width = 1;
    static const unsigned average_shift = 0;
    typedef ap_fixed<8,5> accum_t;
    static const unsigned pixels_per_cycle = 1;
};

// image.dense (SparseToDense): [3, 2], [3, 2] -> [1, 5, 2]
struct image_dense_config {
    static const unsigned n_slots = 3;
    static const unsigned n_channels = 2;
    static const unsigned height = 1;
    static const unsigned width = 5;
};

// out (SparseToDense, MatMul): [3, 2], [3, 2] -> [2]
struct out_config {
    static const unsigned n_slots = 3;
    static const unsigned n_channels = 2;
    static const unsigned height = 1;
    static const unsigned width = 5;
    static const unsigned n_outputs = 2;
    typedef ap_fixed<12,8> accum_t;
    static const unsigned pixels_per_cycle = 1;
};

}  // namespace net

#endif  // PARAMETERS_H_
