#ifndef SPARSE_QONNX_SIM_HLS_STREAM_H_
#define SPARSE_QONNX_SIM_HLS_STREAM_H_

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <vector>

// C-simulation without a Xilinx tool: the part of its hls_stream.h that the firmware uses, an endless FIFO.
namespace hls {

template <class T>
class stream {
  public:
    stream() : first_(0) {}
    explicit stream(const char*) : first_(0) {}

    bool empty() const { return first_ == words_.size(); }
    std::size_t size() const { return words_.size() - first_; }

    void write(const T& word) { words_.push_back(word); }

    // In hardware this would wait for ever.
    T read() {
        if (empty()) {
            std::fprintf(stderr, "hls::stream: read from an empty stream\n");
            std::abort();
        }
        const T word = words_[first_++];
        if (empty()) {
            words_.clear();
            first_ = 0;
        }
        return word;
    }

  private:
    stream(const stream&);
    stream& operator=(const stream&);
    std::vector<T> words_;
    std::size_t first_;
};

}  // namespace hls

#endif  // SPARSE_QONNX_SIM_HLS_STREAM_H_
