// Test bench: every event of tb_data through the firmware; returns 0 only if every value is as expected.

#include <cmath>
#include <fstream>
#include <iostream>
#include <string>

#include "firmware/sparse_cnn.h"

namespace {

int n_values = 0, n_mismatches = 0;

template <class T>
bool read(std::ifstream& file, T* values, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        double value;
        if (!(file >> value)) return false;
        values[i] = value;
    }
    return true;
}

// Fixed-point values have to be equal, values from tables within the error that is stated for them (`tolerance`).
template <class T>
bool compare(std::ifstream& file, const char* name, int event, const T* values, unsigned n, double tolerance) {
    for (unsigned i = 0; i < n; i++) {
        double expected;
        if (!(file >> expected)) return false;
        const double found = values[i].to_double();
        n_values++;
        if (std::fabs(found - expected) <= tolerance) continue;
        n_mismatches++;
        std::cerr << "event " << event << ": " << name << "[" << i << "] is " << found << ", expected " << expected << "\n";
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string folder = argc > 1 ? argv[1] : "tb_data";
    std::ifstream inputs((folder + "/tb_input_features.dat").c_str());
    std::ifstream outputs((folder + "/tb_output_predictions.dat").c_str());
    if (!inputs || !outputs) {
        std::cerr << "cannot read " << folder << "\n";
        return 2;
    }
    int event = 0;
    for (;; event++) {
        image_t image_[48];
        if (!read(inputs, image_, 48)) break;
        dense_t dense_[3];
        hls::stream<sparse_qonnx::beat<image_t, 4> > image;
        hls::stream<sparse_qonnx::beat<dense_t, 3> > dense;
        sparse_qonnx::send<48>(image_, image);
        sparse_cnn(image, dense);
        sparse_qonnx::receive<3>(dense, dense_);
        if (!image.empty()) {
            std::cerr << "event " << event << ": words are left in image\n";
            return 1;
        }
        if (!dense.empty()) {
            std::cerr << "event " << event << ": words are left in dense\n";
            return 1;
        }
        if (!compare(outputs, "dense", event, dense_, 3, 0.0)) break;
    }
    std::cout << event << " events, " << n_values << " values, " << n_mismatches << " mismatches\n";
    return event == 2 && n_mismatches == 0 ? 0 : 1;
}
