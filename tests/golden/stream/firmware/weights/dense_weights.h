#ifndef DENSE_WEIGHTS_H_
#define DENSE_WEIGHTS_H_

#include "ap_fixed.h"
#include "ap_int.h"
#include "../kernels/common/constants.h"

typedef ap_fixed<4,1> dense_weights_t;  // 24 x 3
#ifdef __SYNTHESIS__
static const dense_weights_t dense_weights[72] =
#else
static const double dense_weights_values[72] =
#endif
    {
    0.625, -0.375, -0.25, -0.375, 0.375, -0.5, 0.875, -0.125, 0, 0, 0.125, 0.125, 0, 0.875, 0.625, 0.5, 0.375, 0.25,
    -0.25, 0.875, -0.125, -0.5, 0.625, -0.625, 0.625, 0.25, -0.75, -0.875, -0.125, -0.875, -0.625, 0, 0.875, -0.125,
    0.625, 0.75, 0.625, 0.25, -0.125, 0, -0.5, 0, -0.25, -0.5, 0.875, -0.875, -0.75, -0.625, 0.875, 0.375, 0.75, -0.5,
    0.375, -0.25, 0, -0.875, 0.25, 0.625, 0.25, -0.625, 0.125, -0.375, 0.875, 0.75, -0.625, 0, 0.875, 0.625, 0.375,
    0.25, -0.875, 0.5
    };
#ifndef __SYNTHESIS__
static const sparse_qonnx::constants<dense_weights_t, 72> dense_weights_held(dense_weights_values);
static const dense_weights_t (&dense_weights)[72] = dense_weights_held.values;
#endif

#endif  // DENSE_WEIGHTS_H_
