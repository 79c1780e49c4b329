#ifndef CONV_OQ_WIDTH_H_
#define CONV_OQ_WIDTH_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace net {

typedef ap_uint<3> conv_oq_width_t;  // 4 x 5 x 2
static const conv_oq_width_t conv_oq_width[40] = {
    1, 3, 0, 2, 3, 3, 2, 2, 4, 1, 2, 0, 1, 3, 5, 4, 4, 3, 2, 3, 2, 2, 1, 3, 1, 4, 5, 0, 4, 2, 2, 4, 0, 4, 0, 4, 5, 4, 4,
    3
};

}  // namespace net

#endif  // CONV_OQ_WIDTH_H_
