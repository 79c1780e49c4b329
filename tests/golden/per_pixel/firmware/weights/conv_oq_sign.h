#ifndef CONV_OQ_SIGN_H_
#define CONV_OQ_SIGN_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace net {

typedef ap_uint<1> conv_oq_sign_t;  // 4 x 5 x 2
static const conv_oq_sign_t conv_oq_sign[40] = {
    1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1,
    1
};

}  // namespace net

#endif  // CONV_OQ_SIGN_H_
