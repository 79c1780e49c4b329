#ifndef DEFINES_H_
#define DEFINES_H_

#include "ap_fixed.h"
#include "ap_int.h"

namespace net {

// Types from exact interval inference: no value overflows, no bit is spare.
typedef ap_fixed<5,2> image_t;  // image
typedef ap_fixed<5,2> r_t;  // r
typedef ap_uint<3> r_coords_t;  // r.coords
typedef ap_fixed<9,4> conv_t;  // conv
typedef ap_fixed<6,3> conv_oq_t;  // conv.oq
typedef ap_fixed<8,5> pool_numerators_t;  // pool.numerators
typedef ap_uint<3> pool_coords_t;  // pool.coords
typedef ap_fixed<8,5> image_dense_numerators_t;  // image.dense.numerators
typedef ap_fixed<12,8> out_numerators_t;  // out.numerators

}  // namespace net

#endif  // DEFINES_H_
