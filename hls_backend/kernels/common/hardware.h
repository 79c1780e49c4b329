#ifndef SPARSE_QONNX_COMMON_HARDWARE_H_
#define SPARSE_QONNX_COMMON_HARDWARE_H_

// What the recorder, which reads the kernels as hardware (sim/netlist), has to be told, because no number type can see
// it. Nothing at all in synthesis and C-simulation. These are statements: no semicolon follows.

#ifdef SPARSE_QONNX_NETLIST

#include "loops.h"

// First in the body of every loop that is not unrolled: its variable counts from 0 to trip_count - 1, and its body is
// one piece of hardware that begins a trip every `interval` cycles.
#define SPARSE_QONNX_LOOP(variable, trip_count, interval)                                                 \
    const sparse_qonnx::netlist::trip_scope sparse_qonnx_trip(variable, #variable, trip_count, interval); \
    if (!sparse_qonnx_trip.is_recorded()) continue;

// n values from `array` on are kept from one trip to another, or handed on by a loop. Declared before the loop.
#define SPARSE_QONNX_REGISTERS(array, n) SPARSE_QONNX_REGISTERS_IN(__LINE__, array, n)
#define SPARSE_QONNX_REGISTERS_IN(line, array, n) SPARSE_QONNX_REGISTERS_AS(line, array, n)
#define SPARSE_QONNX_REGISTERS_AS(line, array, n) \
    const sparse_qonnx::netlist::state_scope sparse_qonnx_state_##line(array, n);

// First in a function: what follows happens where `enable` holds; a stream is not read where it does not.
#define SPARSE_QONNX_ONLY_WHERE(enable) const sparse_qonnx::netlist::read_scope sparse_qonnx_read(enable);

#else

#define SPARSE_QONNX_LOOP(variable, trip_count, interval)
#define SPARSE_QONNX_REGISTERS(array, n)
#define SPARSE_QONNX_ONLY_WHERE(enable) \
    if (!(enable)) return;

#endif  // SPARSE_QONNX_NETLIST

// C-simulation only: the rest of this iteration would change nothing, so it need not be computed. Hardware does not
// skip.
#if defined(__SYNTHESIS__) || defined(SPARSE_QONNX_NETLIST)
#define SPARSE_QONNX_SKIP_IDLE(condition)
#else
#define SPARSE_QONNX_SKIP_IDLE(condition) \
    if (condition) continue;
#endif

#endif  // SPARSE_QONNX_COMMON_HARDWARE_H_
