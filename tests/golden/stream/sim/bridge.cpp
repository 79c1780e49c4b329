// C-simulation as a shared library: a batch of events through the firmware.

#include "../firmware/sparse_cnn.h"
#include "trace.h"

namespace sparse_qonnx {
thread_local double* const* trace_targets = nullptr;
}

namespace {
const unsigned n_arrays = 13;
const long long array_sizes[n_arrays] = {48, 5, 10, 5, 10, 10, 10, 10, 10, 10, 24, 3, 3};
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
        image_t image_[48];
        n_changed += sparse_qonnx::load(inputs[0] + event * 48, image_, 48, 32.0, 0.0, 63.0);
        sparse_qonnx::trace(0, image_, 48);
        dense_t dense_[3];
        hls::stream<sparse_qonnx::beat<image_t, 4> > image;
        hls::stream<sparse_qonnx::beat<dense_t, 3> > dense;
        sparse_qonnx::send<48>(image_, image);
        sparse_cnn(image, dense);
        sparse_qonnx::receive<3>(dense, dense_);
        sparse_qonnx::trace(12, dense_, 3);
    }
    sparse_qonnx::trace_targets = nullptr;
    return n_changed;
}
