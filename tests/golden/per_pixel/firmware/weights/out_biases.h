#ifndef OUT_BIASES_H_
#define OUT_BIASES_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace net {

typedef ap_ufixed<1,1> out_biases_t;  // 2
static const out_biases_t out_biases[2] = {
    0, 0
};

}  // namespace net

#endif  // OUT_BIASES_H_
