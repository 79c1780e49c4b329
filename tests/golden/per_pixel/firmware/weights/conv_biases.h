#ifndef CONV_BIASES_H_
#define CONV_BIASES_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace net {

typedef ap_ufixed<1,1> conv_biases_t;  // 2
static const conv_biases_t conv_biases[2] = {
    0, 0
};

}  // namespace net

#endif  // CONV_BIASES_H_
