#ifndef SPARSE_QONNX_FORK_H_
#define SPARSE_QONNX_FORK_H_

namespace sparse_qonnx {

// Two copies of an array: in a dataflow region every array has one reader. CONFIG_T: n_values.
template <class T, class first_T, class second_T, typename CONFIG_T>
void fork(const T data[CONFIG_T::n_values], first_T first[CONFIG_T::n_values], second_T second[CONFIG_T::n_values]) {
#pragma HLS PIPELINE
#pragma HLS ARRAY_PARTITION variable = data complete
#pragma HLS ARRAY_PARTITION variable = first complete
#pragma HLS ARRAY_PARTITION variable = second complete
    for (unsigned i = 0; i < CONFIG_T::n_values; i++) {
#pragma HLS UNROLL
        const T value = data[i];
        first[i] = value;
        second[i] = value;
    }
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_FORK_H_
