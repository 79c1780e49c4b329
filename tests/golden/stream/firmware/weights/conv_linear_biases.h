#ifndef CONV_LINEAR_BIASES_H_
#define CONV_LINEAR_BIASES_H_

#include "ap_fixed.h"
#include "ap_int.h"

typedef ap_fixed<3,1> conv_linear_biases_t;  // 2
static const conv_linear_biases_t conv_linear_biases[2] = {
    -0.75, 0
};

#endif  // CONV_LINEAR_BIASES_H_
