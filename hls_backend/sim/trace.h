#ifndef SPARSE_QONNX_SIM_TRACE_H_
#define SPARSE_QONNX_SIM_TRACE_H_

#include <cmath>

#include "../firmware/kernels/common/number.h"

// C-simulation only: how values get in and out of the firmware.
namespace sparse_qonnx {

// Where the values of each array of the running event go; null where nobody asks for them.
extern thread_local double* const* trace_targets;

template <class T>
void trace(unsigned which, const T* values, unsigned n_values) {
    double* target = trace_targets == nullptr ? nullptr : trace_targets[which];
    if (target == nullptr) return;
    for (unsigned i = 0; i < n_values; i++) target[i] = values[i].to_double();
}

// Values onto the grid of T: nearest, ties to even, saturating, NaN to 0. Returns how many that changed.
template <class T>
long long load(const double* source, T* target, unsigned n_values, double steps_per_unit, double lowest,
               double highest) {
    long long n_changed = 0;
    for (unsigned i = 0; i < n_values; i++) {
        double steps = source[i] * steps_per_unit;
        const bool is_in_range = steps >= lowest && steps <= highest;
        // Most values are on the grid already, and rounding is slow.
        if (!is_in_range || static_cast<double>(static_cast<long long>(steps)) != steps) {
            n_changed++;
            steps = std::nearbyint(steps);
            steps = steps > highest ? highest : steps < lowest ? lowest : steps == steps ? steps : 0.0;
        }
        target[i] = from_raw<T>(ap_int<64>(static_cast<long long>(steps)));
    }
    return n_changed;
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_TRACE_H_
