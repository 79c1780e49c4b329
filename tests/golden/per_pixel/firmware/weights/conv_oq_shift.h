#ifndef CONV_OQ_SHIFT_H_
#define CONV_OQ_SHIFT_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace net {

typedef ap_uint<3> conv_oq_shift_t;  // 4 x 5 x 2
static const conv_oq_shift_t conv_oq_shift[40] = {
    4, 2, 0, 5, 3, 2, 3, 4, 2, 4, 4, 0, 5, 3, 2, 4, 3, 2, 5, 4, 3, 3, 4, 4, 5, 3, 2, 0, 2, 5, 5, 3, 0, 2, 0, 3, 2, 2, 4,
    5
};

}  // namespace net

#endif  // CONV_OQ_SHIFT_H_
