#ifndef SPARSE_QONNX_SIM_NETLIST_HLS_STREAM_H_
#define SPARSE_QONNX_SIM_NETLIST_HLS_STREAM_H_

#include "loops.h"

// Streams for the recorder: words come and go where the enables say so.
namespace hls {

template <class T>
class stream {
  public:
    stream() : name_("?") {}
    explicit stream(const char* name) : name_(name) {}

    T read() {
        using namespace sparse_qonnx::netlist;
        T word;
        const int at = put_line(op::WORD_IN, truth, name_index(name_), 0, {operand_of(read_enable())});
        for (auto& value : word.values) {
            typedef typename std::remove_reference<decltype(value)>::type value_t;
            const interval range = type_range(value_t::width, value_t::is_signed);
            value.state() = wire(range, put_line(op::LANE, range, at, 0, {}));
        }
        return word;
    }

    void write(const T& word) {
        using namespace sparse_qonnx::netlist;
        std::vector<int> operands(1, operand_of(wire(1)));
        for (const auto& value : word.values) operands.push_back(operand_of(value.value()));
        put_line(op::WORD_OUT, truth, name_index(name_), 0, operands);
    }

  private:
    stream(const stream&);
    const char* name_;
};

}  // namespace hls

#endif  // SPARSE_QONNX_SIM_NETLIST_HLS_STREAM_H_
