// As much of onnxruntime as the kernels call, compiled with the same sanitizer: ThreadSanitizer does not see how
// onnxruntime's own threads hand over their work, and would take every hand-over for a race.
#ifndef SPARSE_QONNX_THREADS_MOCK_ORT_H_
#define SPARSE_QONNX_THREADS_MOCK_ORT_H_

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "ort_abi.h"

struct OrtStatus {
    std::string message;
};

struct OrtTensorTypeAndShapeInfo {
    int type;
    std::vector<int64_t> dims;
};

struct OrtValue {
    OrtTensorTypeAndShapeInfo info;
    std::vector<double> memory;  // aligned for every element type

    template <typename T>
    T* data() {
        return reinterpret_cast<T*>(memory.data());
    }
    void Resize(int type, std::vector<int64_t> dims) {
        info = {type, std::move(dims)};
        int64_t count = 1;
        for (int64_t dim : info.dims) count *= dim;
        memory.assign(static_cast<size_t>(count) + 1, 0.0);
    }
};

using Attribute = std::variant<int64_t, float, std::string, std::vector<int64_t>>;

// A node: its attributes, inputs (null: left out), and which of them are constants.
struct OrtKernelInfo {
    std::map<std::string, Attribute> attributes;
    std::vector<OrtValue*> inputs;
    std::vector<bool> constant;
};

// One run: a thread's own outputs, and over how many threads it may split its work.
struct OrtKernelContext {
    const OrtKernelInfo* node;
    int output_type[2];
    std::vector<OrtValue> outputs;
    size_t threads;
};

struct OrtCustomOpDomain {
    std::string name;
    std::vector<const OrtCustomOp*> ops;
};

struct OrtSessionOptions {
    std::vector<OrtCustomOpDomain*> domains;
};

namespace mock {

inline OrtStatus* Missing() { return new OrtStatus{"missing"}; }

template <typename T>
const T* Find(const OrtKernelInfo* info, const char* name) {
    const auto found = info->attributes.find(name);
    return found == info->attributes.end() ? nullptr : std::get_if<T>(&found->second);
}

template <typename T>
OrtStatus* Get(const OrtKernelInfo* info, const char* name, T* out) {
    const T* value = Find<T>(info, name);
    if (value == nullptr) return Missing();
    *out = *value;
    return nullptr;
}

inline OrtStatus* Text(const std::string& text, char* out, size_t* size) {
    if (out != nullptr) std::memcpy(out, text.c_str(), text.size() + 1);
    *size = text.size() + 1;
    return nullptr;
}

inline OrtStatus* Output(OrtKernelContext* context, size_t index, const int64_t* dims, size_t count, OrtValue** out) {
    if (context->outputs[index].memory.empty()) {
        context->outputs[index].Resize(context->output_type[index], {dims, dims + count});
    }
    *out = &context->outputs[index];
    return nullptr;
}

inline OrtStatus* Split(const OrtKernelContext* context, void (*body)(void*, size_t), size_t total, size_t,
                        void* user) {
    const size_t threads = context->threads;
    std::vector<std::thread> workers;
    for (size_t first = 1; first < threads; ++first) {
        workers.emplace_back([=] {
            for (size_t index = first; index < total; index += threads) body(user, index);
        });
    }
    for (size_t index = 0; index < total; index += threads) body(user, index);
    for (std::thread& worker : workers) worker.join();
    return nullptr;
}

// The table, with a function at each place that `sparse_qonnx::Api` reads.
inline const OrtApi* Table() {
    using sparse_qonnx::Api;
    static const void* places[512] = {};
    static const bool filled = [] {
        Api f(reinterpret_cast<const OrtApi*>(places));
        f.CreateStatus = [](int, const char* message) { return new OrtStatus{message}; };
        f.GetErrorMessage = [](const OrtStatus* status) { return status->message.c_str(); };
        f.ReleaseStatus = [](OrtStatus* status) { delete status; };
        f.CreateCustomOpDomain = [](const char* name, OrtCustomOpDomain** out) -> OrtStatus* {
            *out = new OrtCustomOpDomain{name, {}};
            return nullptr;
        };
        f.CustomOpDomain_Add = [](OrtCustomOpDomain* domain, const OrtCustomOp* op) -> OrtStatus* {
            domain->ops.push_back(op);
            return nullptr;
        };
        f.AddCustomOpDomain = [](OrtSessionOptions* options, OrtCustomOpDomain* domain) -> OrtStatus* {
            options->domains.push_back(domain);
            return nullptr;
        };
        f.ReleaseCustomOpDomain = [](OrtCustomOpDomain* domain) { delete domain; };
        f.GetTensorMutableData = [](OrtValue* value, void** out) -> OrtStatus* {
            *out = value->memory.data();
            return nullptr;
        };
        f.GetTensorTypeAndShape = [](const OrtValue* value, OrtTensorTypeAndShapeInfo** out) -> OrtStatus* {
            *out = new OrtTensorTypeAndShapeInfo(value->info);
            return nullptr;
        };
        f.ReleaseTensorTypeAndShapeInfo = [](OrtTensorTypeAndShapeInfo* info) { delete info; };
        f.GetTensorElementType = [](const OrtTensorTypeAndShapeInfo* info, int* out) -> OrtStatus* {
            *out = info->type;
            return nullptr;
        };
        f.GetDimensionsCount = [](const OrtTensorTypeAndShapeInfo* info, size_t* out) -> OrtStatus* {
            *out = info->dims.size();
            return nullptr;
        };
        f.GetDimensions = [](const OrtTensorTypeAndShapeInfo* info, int64_t* out, size_t count) -> OrtStatus* {
            std::memcpy(out, info->dims.data(), count * sizeof(int64_t));
            return nullptr;
        };
        f.KernelInfoGetAttribute_float = [](const OrtKernelInfo* i, const char* n, float* o) { return Get(i, n, o); };
        f.KernelInfoGetAttribute_int64 = [](const OrtKernelInfo* i, const char* n, int64_t* o) { return Get(i, n, o); };
        f.KernelInfoGetAttribute_string = [](const OrtKernelInfo* i, const char* name, char* out, size_t* size) {
            const auto* text = Find<std::string>(i, name);
            return text == nullptr ? Missing() : Text(*text, out, size);
        };
        f.KernelInfoGetAttributeArray_int64 = [](const OrtKernelInfo* i, const char* name, int64_t* out, size_t* size) {
            const auto* values = Find<std::vector<int64_t>>(i, name);
            if (values == nullptr) return Missing();
            if (out != nullptr) std::memcpy(out, values->data(), values->size() * sizeof(int64_t));
            *size = values->size();
            return static_cast<OrtStatus*>(nullptr);
        };
        f.KernelInfo_GetInputCount = [](const OrtKernelInfo* info, size_t* out) -> OrtStatus* {
            *out = info->inputs.size();
            return nullptr;
        };
        f.KernelInfo_GetNodeName = [](const OrtKernelInfo*, char* out, size_t* size) {
            return Text("node", out, size);
        };
        f.KernelInfoGetConstantInput_tensor = [](const OrtKernelInfo* info, size_t index, int* is_constant,
                                                 const OrtValue** out) -> OrtStatus* {
            *is_constant = info->constant[index] && info->inputs[index] != nullptr;
            *out = *is_constant ? info->inputs[index] : nullptr;
            return nullptr;
        };
        f.KernelContext_GetInputCount = [](const OrtKernelContext* context, size_t* out) -> OrtStatus* {
            *out = context->node->inputs.size();
            return nullptr;
        };
        f.KernelContext_GetInput = [](const OrtKernelContext* context, size_t index,
                                      const OrtValue** out) -> OrtStatus* {
            *out = context->node->inputs[index];
            return nullptr;
        };
        f.KernelContext_GetOutput = &Output;
        f.KernelContext_ParallelFor = &Split;
#define SPARSE_QONNX_STORE(place, name, result, parameters) places[place] = reinterpret_cast<const void*>(f.name);
        SPARSE_QONNX_ORT_FUNCTIONS(SPARSE_QONNX_STORE)
#undef SPARSE_QONNX_STORE
        return true;
    }();
    return filled ? reinterpret_cast<const OrtApi*>(places) : nullptr;
}

}  // namespace mock

#endif  // SPARSE_QONNX_THREADS_MOCK_ORT_H_
