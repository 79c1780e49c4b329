#ifndef CONV_LINEAR_WEIGHTS_H_
#define CONV_LINEAR_WEIGHTS_H_

#include "ap_fixed.h"
#include "ap_int.h"

typedef ap_fixed<4,1> conv_linear_weights_t;  // 11 x 1 x 2
static const conv_linear_weights_t conv_linear_weights[22] = {
    0, 0, 0.875, -0.375, 0.25, -0.375, 0.375, 0.75, 0.75, 0.75, 0.125, -0.875, 0.5, 0, 0.625, 0.625, -0.5, -0.75,
    -0.875, 0.5, 0, 0
};

#endif  // CONV_LINEAR_WEIGHTS_H_
