#ifndef SPARSE_CNN_H_
#define SPARSE_CNN_H_

#include "defines.h"

// in  image: image, [6, 8, 1], ap_ufixed<6,1>
// out dense: dense, [3], ap_fixed<16,5>
void sparse_cnn(const image_t image[48], dense_t dense[3]);

#endif  // SPARSE_CNN_H_
