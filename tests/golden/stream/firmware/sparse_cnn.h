#ifndef SPARSE_CNN_H_
#define SPARSE_CNN_H_

#include "defines.h"
#include "kernels/common/stream.h"

// in  image: image, [6, 8, 1], ap_ufixed<6,1>, words of 4
// out dense: dense, [3], ap_fixed<16,5>, words of 3
void sparse_cnn(
    hls::stream<sparse_qonnx::beat<image_t, 4> >& image,
    hls::stream<sparse_qonnx::beat<dense_t, 3> >& dense);

#endif  // SPARSE_CNN_H_
