#ifndef SPARSE_QONNX_COMMON_CENSUS_H_
#define SPARSE_QONNX_COMMON_CENSUS_H_

// What the instrument that counts hardware (sim/census) has to be told, because no number type can see it. Nothing at
// all in synthesis and C-simulation.

#ifdef SPARSE_QONNX_CENSUS

#include "counts.h"

// First in the body of every loop that is not unrolled: the body is one piece of hardware, used trip_count times, a new
// iteration every `interval` cycles.
#define SPARSE_QONNX_PIPELINE(trip_count, interval) \
    static const char sparse_qonnx_census_loop = 0; \
    const sparse_qonnx::census::body_scope sparse_qonnx_census_body(&sparse_qonnx_census_loop, trip_count, interval)

// n values from `array` on are kept from one cycle to another.
#define SPARSE_QONNX_REGISTERS(array, n) sparse_qonnx::census::count_registers(array, n)

#else

#define SPARSE_QONNX_PIPELINE(trip_count, interval)
#define SPARSE_QONNX_REGISTERS(array, n)

#endif  // SPARSE_QONNX_CENSUS

#endif  // SPARSE_QONNX_COMMON_CENSUS_H_
