#ifndef CONV_WEIGHTS_H_
#define CONV_WEIGHTS_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace net {

typedef ap_fixed<3,1> conv_weights_t;  // 5 x 2 x 2
static const conv_weights_t conv_weights[20] = {
    0, 0, 0, 0, 0.5, 0.75, -0.5, -0.75, -0.75, 0.25, -0.5, -0.25, -0.5, -0.75, 0.5, 0, 0, 0, 0, 0
};

}  // namespace net

#endif  // CONV_WEIGHTS_H_
