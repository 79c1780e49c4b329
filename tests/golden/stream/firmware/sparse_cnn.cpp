#include "sparse_cnn.h"

#include "parameters.h"
#ifdef SPARSE_QONNX_TRACE
#include "trace.h"
#endif

void sparse_cnn(
    hls::stream<sparse_qonnx::beat<image_t, 4> >& image,
    hls::stream<sparse_qonnx::beat<dense_t, 3> >& dense) {
#pragma HLS DATA_PACK variable=image
#pragma HLS DATA_PACK variable=dense
#pragma HLS INTERFACE axis port=image,dense
#pragma HLS DATAFLOW

    // reduce (InputReduce): [6, 8, 1] -> [5, 1], [5, 2]
    // threshold 0.25, as a multiple of 2^-5: 8
    reduce_t reduce[5];
#pragma HLS ARRAY_PARTITION variable=reduce complete dim=0
    reduce_coords_t reduce_coords[10];
#pragma HLS ARRAY_PARTITION variable=reduce_coords complete dim=0
    sparse_qonnx::input_reduce_chunk<image_t, reduce_t, reduce_coords_t, reduce_config>(image, reduce, reduce_coords);

    // conv.iq (FixedPointQuant): [5, 1] -> [5, 1]
    conv_iq_t conv_iq[5];
#pragma HLS ARRAY_PARTITION variable=conv_iq complete dim=0
    sparse_qonnx::fixed_point_quant<reduce_t, conv_iq_t, conv_iq_config>(reduce, conv_iq);

    // reduce.coords for conv.linear (fork): [5, 2] -> [5, 2], [5, 2]
    reduce_coords_t reduce_coords_conv_linear[10];
#pragma HLS ARRAY_PARTITION variable=reduce_coords_conv_linear complete dim=0
    reduce_coords_t reduce_coords_rest[10];
#pragma HLS ARRAY_PARTITION variable=reduce_coords_rest complete dim=0
    sparse_qonnx::fork<reduce_coords_t, reduce_coords_t, reduce_coords_t, fork_conv_linear_config>(
        reduce_coords, reduce_coords_conv_linear, reduce_coords_rest);

    // conv.linear (SparseConv): [5, 1], [5, 2] -> [5, 2]
    conv_linear_t conv_linear[10];
#pragma HLS ARRAY_PARTITION variable=conv_linear complete dim=0
    sparse_qonnx::sparse_conv_pairs<conv_iq_t, reduce_coords_t, conv_linear_t, conv_linear_config>(
        conv_iq, reduce_coords_conv_linear, conv_linear, conv_linear_weights, conv_linear_biases);

    // conv (Relu): [5, 2] -> [5, 2]
    conv_t conv[10];
#pragma HLS ARRAY_PARTITION variable=conv complete dim=0
    sparse_qonnx::relu<conv_linear_t, conv_t, conv_config>(conv_linear, conv);

    // pool (SparsePool): [5, 2], [5, 2] -> [5, 2], [5, 2]
    pool_t pool[10];
#pragma HLS ARRAY_PARTITION variable=pool complete dim=0
    pool_coords_t pool_coords[10];
#pragma HLS ARRAY_PARTITION variable=pool_coords complete dim=0
    sparse_qonnx::sparse_pool<conv_t, reduce_coords_t, pool_t, pool_coords_t, pool_config>(
        conv, reduce_coords_rest, pool, pool_coords);

#ifdef SPARSE_QONNX_TRACE  // no hardware: a later layer does it; C-simulation shows it
    // flatten.dense (SparseToDense): [5, 2], [5, 2] -> [3, 4, 2]
    flatten_dense_t flatten_dense[24];
#pragma HLS ARRAY_PARTITION variable=flatten_dense complete dim=0
    sparse_qonnx::sparse_to_dense<pool_t, pool_coords_t, flatten_dense_t, flatten_dense_config>(
        pool, pool_coords, flatten_dense);
#endif

    // dense (SparseToDense, MatMul, Add): [5, 2], [5, 2] -> [3]
    // of its 24 rows of weights reads those of the pixels: no dense vector
    dense_t dense_values[3];
#pragma HLS ARRAY_PARTITION variable=dense_values complete dim=0
    sparse_qonnx::sparse_dense<pool_t, pool_coords_t, dense_t, dense_config>(
        pool, pool_coords, dense_values, dense_weights, dense_biases);

    // dense to stream (io_stream): [3] -> [3]
    sparse_qonnx::array_to_stream<dense_t, dense_t, dense_values_stream_config>(dense_values, dense);

#ifdef SPARSE_QONNX_TRACE  // C-simulation hands out every array
    sparse_qonnx::trace(1, reduce, 5);
    sparse_qonnx::trace(2, reduce_coords, 10);
    sparse_qonnx::trace(3, conv_iq, 5);
    sparse_qonnx::trace(4, reduce_coords_conv_linear, 10);
    sparse_qonnx::trace(5, reduce_coords_rest, 10);
    sparse_qonnx::trace(6, conv_linear, 10);
    sparse_qonnx::trace(7, conv, 10);
    sparse_qonnx::trace(8, pool, 10);
    sparse_qonnx::trace(9, pool_coords, 10);
    sparse_qonnx::trace(10, flatten_dense, 24);
    sparse_qonnx::trace(11, dense_values, 3);
#endif
}
