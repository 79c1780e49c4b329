#ifndef OUT_WEIGHTS_H_
#define OUT_WEIGHTS_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace net {

typedef ap_fixed<3,2> out_weights_t;  // 10 x 2
static const out_weights_t out_weights[20] = {
    -1, 1, 0.5, -1, 1.5, 1.5, 1.5, 0.5, 1.5, 0.5, 0, 1.5, 0.5, 1, -0.5, 1, 1.5, -1.5, 0, -0.5
};

}  // namespace net

#endif  // OUT_WEIGHTS_H_
