// What a kernel sees of onnxruntime: its node's attributes and constants when it is made, its tensors when it runs.
#ifndef SPARSE_QONNX_KERNEL_H_
#define SPARSE_QONNX_KERNEL_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ort_abi.h"
#include "tensor.h"

namespace sparse_qonnx {

// ONNX element type of T.
template <typename T>
struct ElementType;
template <>
struct ElementType<float> {
    static constexpr int value = kFloat;
};
template <>
struct ElementType<double> {
    static constexpr int value = kDouble;
};
template <>
struct ElementType<int64_t> {
    static constexpr int value = kInt64;
};

// The node a kernel is made for.
class KernelInfo {
  public:
    KernelInfo(const Api& api, const OrtKernelInfo* info, const char* op) : api_(api), info_(info), op_(op) {}

    const Api& api() const { return api_; }
    std::string Label() const;  // "SparseConv node 'conv1'", to begin error messages with

    int64_t Int(const char* name) const;
    int64_t Int(const char* name, int64_t fallback) const;
    float Float(const char* name) const;
    std::string String(const char* name) const;
    std::string String(const char* name, const char* fallback) const;
    // Exactly `count` integers, each at least 1.
    std::vector<int64_t> Sizes(const char* name, size_t count) const;
    std::vector<int64_t> Sizes(const char* name, size_t count, std::vector<int64_t> fallback) const;

    size_t InputCount() const;  // of the node; optional inputs at its end may be missing
    // The input's value if it is an initializer; valid as long as the kernel lives.
    std::optional<Tensor> Constant(size_t index) const;

  private:
    std::optional<int64_t> TryInt(const char* name) const;
    std::optional<std::string> TryString(const char* name) const;
    std::optional<std::vector<int64_t>> TryInts(const char* name) const;
    bool Ok(OrtStatus* status) const;

    const Api& api_;
    const OrtKernelInfo* info_;
    const char* op_;
};

// One run of a kernel.
class KernelContext {
  public:
    KernelContext(const Api& api, OrtKernelContext* context) : api_(api), context_(context) {}

    // Throws if the input is absent or of another type or rank.
    template <typename T>
    Tensor Input(size_t index, const char* name, int rank = -1) const {
        return Required(index, name, ElementType<T>::value, rank);
    }

    // Absent inputs give nothing.
    template <typename T>
    std::optional<Tensor> OptionalInput(size_t index, const char* name, int rank = -1) const {
        return Find(index, name, ElementType<T>::value, rank);
    }

    template <typename T>
    T* Output(size_t index, const char* name, const Shape& shape) {
        return static_cast<T*>(OutputData(index, name, shape));
    }

    const Api& api() const { return api_; }
    OrtKernelContext* raw() const { return context_; }

  private:
    Tensor Required(size_t index, const char* name, int type, int rank) const;
    std::optional<Tensor> Find(size_t index, const char* name, int type, int rank) const;
    void* OutputData(size_t index, const char* name, const Shape& shape);

    const Api& api_;
    OrtKernelContext* context_;
};

// Throws Error with onnxruntime's own message; releases the status.
void ThrowIfError(const Api& api, OrtStatus* status);

// Type and shape of a tensor of onnxruntime's.
Tensor View(const Api& api, const char* name, const OrtValue* value);

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_KERNEL_H_
