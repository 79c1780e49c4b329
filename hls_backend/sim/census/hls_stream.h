#ifndef SPARSE_QONNX_SIM_CENSUS_HLS_STREAM_H_
#define SPARSE_QONNX_SIM_CENSUS_HLS_STREAM_H_

// Streams for the census: any word comes out of them, and what goes in is not looked at.
namespace hls {

template <class T>
class stream {
  public:
    T read() {
        T word;
        word.set_any();
        return word;
    }
    void write(const T&) {}
};

}  // namespace hls

#endif  // SPARSE_QONNX_SIM_CENSUS_HLS_STREAM_H_
