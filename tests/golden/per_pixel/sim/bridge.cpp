// C-simulation as a shared library: a batch of events through the firmware.

#include "../firmware/pixelwise.h"
#include "trace.h"

namespace sparse_qonnx {
thread_local double* const* trace_targets = nullptr;
}

namespace {
const unsigned n_arrays = 13;
const long long array_sizes[n_arrays] = {40, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 10, 2};
}  // namespace

// inputs[i] is [n_events, size of input i]; targets[j] is [n_events, size of array j], or null where it is not wanted.
// Returns how many input values were not on the input grid and have been rounded to it.
extern "C" long long sparse_qonnx_run(long long n_events, const double* const* inputs, double* const* targets) {
    double* event_targets[n_arrays];
    long long n_changed = 0;
    for (long long event = 0; event < n_events; event++) {
        for (unsigned i = 0; i < n_arrays; i++) {
            event_targets[i] = targets[i] == nullptr ? nullptr : targets[i] + event * array_sizes[i];
        }
        sparse_qonnx::trace_targets = event_targets;
        using namespace net;
        image_t image[40];
        n_changed += sparse_qonnx::load(inputs[0] + event * 40, image, 40, 8.0, -16.0, 15.0);
        out_numerators_t out_numerators[2];
        pixelwise(image, out_numerators);
    }
    sparse_qonnx::trace_targets = nullptr;
    return n_changed;
}
