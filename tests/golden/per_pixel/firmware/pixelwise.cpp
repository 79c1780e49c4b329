#include "pixelwise.h"

#include "parameters.h"
#ifdef SPARSE_QONNX_TRACE
#include "trace.h"
#endif

void pixelwise(const net::image_t image[40], net::out_numerators_t out_numerators[2]) {
    using namespace net;
#pragma HLS ARRAY_RESHAPE variable=image complete dim=0
#pragma HLS ARRAY_PARTITION variable=out_numerators complete dim=0
#pragma HLS INTERFACE ap_vld port=image,out_numerators
#pragma HLS DATAFLOW

    // r (InputReduce): [4, 5, 2] -> [3, 2], [3, 2]
    // threshold 0, as a multiple of 2^-3: 0
    r_t r[6];
#pragma HLS ARRAY_PARTITION variable=r complete dim=0
    r_coords_t r_coords[6];
#pragma HLS ARRAY_PARTITION variable=r_coords complete dim=0
    sparse_qonnx::input_reduce_chunk<image_t, r_t, r_coords_t, r_config>(image, r, r_coords);

    // r.coords for conv (fork): [3, 2] -> [3, 2], [3, 2]
    r_coords_t r_coords_conv[6];
#pragma HLS ARRAY_PARTITION variable=r_coords_conv complete dim=0
    r_coords_t r_coords_rest[6];
#pragma HLS ARRAY_PARTITION variable=r_coords_rest complete dim=0
    sparse_qonnx::fork<r_coords_t, r_coords_t, r_coords_t, fork_conv_config>(r_coords, r_coords_conv, r_coords_rest);

    // conv (SparseConv): [3, 2], [3, 2] -> [3, 2]
    conv_t conv[6];
#pragma HLS ARRAY_PARTITION variable=conv complete dim=0
    sparse_qonnx::sparse_conv_gather<r_t, r_coords_t, conv_t, conv_config>(
        r, r_coords_conv, conv, conv_weights, conv_biases);

    // r.coords for conv.oq (fork): [3, 2] -> [3, 2], [3, 2]
    r_coords_t r_coords_conv_oq[6];
#pragma HLS ARRAY_PARTITION variable=r_coords_conv_oq complete dim=0
    r_coords_t r_coords_rest_2[6];
#pragma HLS ARRAY_PARTITION variable=r_coords_rest_2 complete dim=0
    sparse_qonnx::fork<r_coords_t, r_coords_t, r_coords_t, fork_conv_oq_config>(
        r_coords_rest, r_coords_conv_oq, r_coords_rest_2);

    // conv.oq (FixedPointQuant): [3, 2], [3, 2] -> [3, 2]
    conv_oq_t conv_oq[6];
#pragma HLS ARRAY_PARTITION variable=conv_oq complete dim=0
    sparse_qonnx::fixed_point_quant_by_pixel<conv_t, r_coords_t, conv_oq_t, conv_oq_config>(
        conv, r_coords_conv_oq, conv_oq, conv_oq_shift, conv_oq_width, conv_oq_sign);

    // pool (SparsePool): [3, 2], [3, 2] -> [3, 2], [3, 2]
    pool_numerators_t pool_numerators[6];
#pragma HLS ARRAY_PARTITION variable=pool_numerators complete dim=0
    pool_coords_t pool_coords[6];
#pragma HLS ARRAY_PARTITION variable=pool_coords complete dim=0
    sparse_qonnx::sparse_pool<conv_oq_t, r_coords_t, pool_numerators_t, pool_coords_t, pool_config>(
        conv_oq, r_coords_rest_2, pool_numerators, pool_coords);

#ifdef SPARSE_QONNX_TRACE  // no hardware: a later layer does it; C-simulation shows it
    // image.dense (SparseToDense): [3, 2], [3, 2] -> [1, 5, 2]
    image_dense_numerators_t image_dense_numerators[10];
#pragma HLS ARRAY_PARTITION variable=image_dense_numerators complete dim=0
    sparse_qonnx::sparse_to_dense<pool_numerators_t, pool_coords_t, image_dense_numerators_t, image_dense_config>(
        pool_numerators, pool_coords, image_dense_numerators);
#endif

    // out (SparseToDense, MatMul): [3, 2], [3, 2] -> [2]
    // of its 10 rows of weights reads those of the pixels: no dense vector
    sparse_qonnx::sparse_dense<pool_numerators_t, pool_coords_t, out_numerators_t, out_config>(
        pool_numerators, pool_coords, out_numerators, out_weights, out_biases);

#ifdef SPARSE_QONNX_TRACE  // C-simulation hands out every array
    sparse_qonnx::trace(0, image, 40);
    sparse_qonnx::trace(1, r, 6);
    sparse_qonnx::trace(2, r_coords, 6);
    sparse_qonnx::trace(3, r_coords_conv, 6);
    sparse_qonnx::trace(4, r_coords_rest, 6);
    sparse_qonnx::trace(5, conv, 6);
    sparse_qonnx::trace(6, r_coords_conv_oq, 6);
    sparse_qonnx::trace(7, r_coords_rest_2, 6);
    sparse_qonnx::trace(8, conv_oq, 6);
    sparse_qonnx::trace(9, pool_numerators, 6);
    sparse_qonnx::trace(10, pool_coords, 6);
    sparse_qonnx::trace(11, image_dense_numerators, 10);
    sparse_qonnx::trace(12, out_numerators, 2);
#endif
}
