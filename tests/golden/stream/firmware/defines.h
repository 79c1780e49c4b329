#ifndef DEFINES_H_
#define DEFINES_H_

#include "ap_fixed.h"
#include "ap_int.h"

// Types from exact interval inference: no value overflows, no bit is spare.
typedef ap_ufixed<6,1> image_t;  // image
typedef ap_ufixed<6,1> reduce_t;  // reduce
typedef ap_uint<4> reduce_coords_t;  // reduce.coords
typedef ap_ufixed<3,0> conv_iq_t;  // conv.iq
typedef ap_fixed<9,3> conv_linear_t;  // conv.linear
typedef ap_ufixed<8,2> conv_t;  // conv
typedef ap_ufixed<10,2> pool_t;  // pool
typedef ap_uint<3> pool_coords_t;  // pool.coords
typedef ap_ufixed<10,2> flatten_dense_t;  // flatten.dense
typedef ap_fixed<16,5> dense_t;  // dense

#endif  // DEFINES_H_
