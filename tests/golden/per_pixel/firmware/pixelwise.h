#ifndef PIXELWISE_H_
#define PIXELWISE_H_

#include "defines.h"

// in  image: image, [4, 5, 2], ap_fixed<5,2>
// out out_numerators: out, [2], ap_fixed<12,8>, numerators to be divided by 3
void pixelwise(const net::image_t image[40], net::out_numerators_t out_numerators[2]);

#endif  // PIXELWISE_H_
