#ifndef SPARSE_QONNX_SIM_NETLIST_LAYER_H_
#define SPARSE_QONNX_SIM_NETLIST_LAYER_H_

#include <sys/resource.h>
#include <unistd.h>

#include <memory>

#include "loops.h"
#include "write.h"

// A layer: what the program that records calls kernels with.
namespace sparse_qonnx {
namespace netlist {

// Kernels keep their arrays on the stack, and a number is larger here than the one that it stands for. Where a stack
// lies is settled when a program starts: it starts again.
inline void enlarge_stack(char** const arguments) {
    const rlim_t wanted = rlim_t(1) << 30;
    rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0) return;
    const rlim_t most = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (limit.rlim_cur >= most) return;
    limit.rlim_cur = most;
    if (setrlimit(RLIMIT_STACK, &limit) == 0) execv(arguments[0], arguments);
}

inline void begin_layer(const char* layer, const char* kernel, const std::size_t most_lines) {
    const place start = {layer, kernel, nullptr};
    here() = start;
    current() = recording();
    current().most = most_lines;
    std::printf("layer %s %s\n", layer, kernel);
}

inline void end_layer() {
    if (!current().open.empty()) fail("a loop has fewer trips than it says");
    write_layer();
}

// A port of words; what comes and goes are lines of loops.
template <class T>
void stream_port(const char* name, const char* direction, const int lanes) {
    std::printf("stream %s %s %d %d %d\n", name, direction, lanes, T::width, int(T::is_signed));
}

// An array of any values of its type.
template <class T>
class input_array {
  public:
    input_array(const char* name, const unsigned n) : values_(new T[n]) {
        for (unsigned i = 0; i < n; i++) {
            const interval range = type_range(T::width, T::is_signed);
            const int at = put_line(op::INPUT, range, name_index(name), i, {});
            values_[i].state() = wire(range, at);
        }
    }
    const T* get() const { return values_.get(); }

  private:
    const std::unique_ptr<T[]> values_;
};

// An array that is written, and keeps what was written.
template <class T>
class output_array {
  public:
    output_array(const char* name, const unsigned n)
        : name_(name), size_(n), values_(new T[n]), state_(values_.get(), n) {}
    T* get() { return values_.get(); }
    // What the kernel left in it.
    void show() const {
        for (unsigned i = 0; i < size_; i++) {
            if (!values_[i].is_set()) fail(std::string("output ") + name_ + " is not written everywhere");
            const output_element shown = {name_index(name_), i, T::width, T::is_signed, operand_of(values_[i].value())};
            current().outputs.push_back(shown);
        }
    }

  private:
    const char* const name_;
    const unsigned size_;
    const std::unique_ptr<T[]> values_;
    const state_scope state_;
};

}  // namespace netlist
}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_SIM_NETLIST_LAYER_H_
