#ifndef DENSE_BIASES_H_
#define DENSE_BIASES_H_

#include "ap_fixed.h"
#include "ap_int.h"

typedef ap_fixed<3,1> dense_biases_t;  // 3
static const dense_biases_t dense_biases[3] = {
    0, -0.75, -0.5
};

#endif  // DENSE_BIASES_H_
