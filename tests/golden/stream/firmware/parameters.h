#ifndef PARAMETERS_H_
#define PARAMETERS_H_

#include "defines.h"
#include "kernels/fixed_point_quant.h"
#include "kernels/fork.h"
#include "kernels/input_reduce.h"
#include "kernels/io_stream.h"
#include "kernels/relu.h"
#include "kernels/sparse_conv.h"
#include "kernels/sparse_dense.h"
#include "kernels/sparse_pool.h"
#include "kernels/sparse_to_dense.h"
#include "weights/conv_linear_weights.h"
#include "weights/conv_linear_biases.h"
#include "weights/dense_weights.h"
#include "weights/dense_biases.h"

// reduce (InputReduce): [6, 8, 1] -> [5, 1], [5, 2]
struct reduce_config {
    static const unsigned height = 6;
    static const unsigned width = 8;
    static const unsigned n_channels = 1;
    static const unsigned n_slots = 5;
    static const int threshold = 8;
    static const unsigned pixels_per_cycle = 4;
};

// conv.iq (FixedPointQuant): [5, 1] -> [5, 1]
struct conv_iq_config {
    static const sparse_qonnx::rounding rounding_mode = sparse_qonnx::rounding::RND;
    static const sparse_qonnx::overflow overflow_mode = sparse_qonnx::overflow::WRAP;
    static const unsigned up_shift = 0;
    static const int align = 2;
    static const unsigned max_width = 3;
    static const unsigned max_shift = 2;
    static const unsigned divisor = 1;
    static const unsigned multiplier = 1;
    static const unsigned multiplier_shift = 0;
    static const unsigned n_values = 5;
    static const unsigned shift = 2;
    static const unsigned width = 3;
    static const bool is_signed = false;
};

// reduce.coords for conv.linear (fork): [5, 2] -> [5, 2], [5, 2]
struct fork_conv_linear_config {
    static const unsigned n_values = 10;
};

// conv.linear (SparseConv): [5, 1], [5, 2] -> [5, 2]
struct conv_linear_config {
    static const unsigned n_slots = 5;
    static const unsigned n_channels = 1;
    static const unsigned n_filters = 2;
    static const unsigned n_groups = 1;
    static const unsigned kernel_height = 3;
    static const unsigned kernel_width = 3;
    static const unsigned dilation_height = 1;
    static const unsigned dilation_width = 1;
    static const unsigned pad_top = 1;
    static const unsigned pad_left = 1;
    typedef ap_fixed<9,3> accum_t;
    static const bool is_raster_order = true;
    static const unsigned pixels_per_cycle = 1;
    static const unsigned inputs_per_cycle = 5;
    static const unsigned filters_per_cycle = 1;
    static const unsigned channels_per_cycle = 1;
};

// conv (Relu): [5, 2] -> [5, 2]
struct conv_config {
    static const unsigned n_values = 10;
};

// pool (SparsePool): [5, 2], [5, 2] -> [5, 2], [5, 2]
struct pool_config {
    static const sparse_qonnx::pooling mode = sparse_qonnx::pooling::AVERAGE;
    static const unsigned n_slots = 5;
    static const unsigned n_channels = 2;
    static const unsigned height = 6;
    static const unsigned width = 8;
    static const unsigned window_height = 2;
    static const unsigned window_width = 2;
    static const unsigned average_shift = 2;
    typedef ap_ufixed<10,4> accum_t;
    static const unsigned pixels_per_cycle = 1;
};

// flatten.dense (SparseToDense): [5, 2], [5, 2] -> [3, 4, 2]
struct flatten_dense_config {
    static const unsigned n_slots = 5;
    static const unsigned n_channels = 2;
    static const unsigned height = 3;
    static const unsigned width = 4;
};

// dense (SparseToDense, MatMul, Add): [5, 2], [5, 2] -> [3]
struct dense_config {
    static const unsigned n_slots = 5;
    static const unsigned n_channels = 2;
    static const unsigned height = 3;
    static const unsigned width = 4;
    static const unsigned n_outputs = 3;
    typedef ap_fixed<16,5> accum_t;
    static const unsigned pixels_per_cycle = 1;
};

// dense to stream (io_stream): [3] -> [3]
struct dense_values_stream_config {
    static const unsigned n_values = 3;
    static const unsigned n_word_values = 3;
};

#endif  // PARAMETERS_H_
