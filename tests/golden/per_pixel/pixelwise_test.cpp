// Test bench: every event of tb_data through the firmware; returns 0 only if every value is as expected.

#include <cmath>
#include <fstream>
#include <iostream>
#include <string>

#include "firmware/pixelwise.h"

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
        using namespace net;
        image_t image[40];
        if (!read(inputs, image, 40)) break;
        out_numerators_t out_numerators[2];
        pixelwise(image, out_numerators);
        if (!compare(outputs, "out_numerators", event, out_numerators, 2, 0.0)) break;
    }
    std::cout << event << " events, " << n_values << " values, " << n_mismatches << " mismatches\n";
    return event == 3 && n_mismatches == 0 ? 0 : 1;
}
