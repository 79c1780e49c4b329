// The part of onnxruntime's C ABI that this library uses, declared by ourselves.
//
// onnxruntime's wheel carries no headers, and its C ABI never changes what it once published: `OrtApi` is a table of
// function pointers that is only ever appended to, and `OrtCustomOp` a structure whose first member says how much of it
// exists. So a place in the table and a signature are all that is needed, and nothing is linked against libonnxruntime:
// whoever loads this library passes its own `OrtApiBase`.
//
// Version 17 is asked for (onnxruntime 1.17 and newer). It is the oldest with everything in the table below: kernels
// that return an error status came with 16, and the parallel loop over onnxruntime's own threads with 17.
#ifndef SPARSE_QONNX_ORT_ABI_H_
#define SPARSE_QONNX_ORT_ABI_H_

#include <cstddef>
#include <cstdint>

#if defined(_WIN32) && !defined(_WIN64)
#error "32-bit Windows calls these functions with another convention (stdcall); it is not supported"
#endif

extern "C" {

// Objects of onnxruntime: only ever seen through pointers.
struct OrtStatus;
struct OrtValue;
struct OrtKernelInfo;
struct OrtKernelContext;
struct OrtSessionOptions;
struct OrtCustomOpDomain;
struct OrtTensorTypeAndShapeInfo;
struct OrtShapeInferContext;
struct OrtApi;  // the table; read through sparse_qonnx::Api

// What RegisterCustomOps is given.
struct OrtApiBase {
    const OrtApi* (*GetApi)(uint32_t version);  // null when this onnxruntime is older than `version`
    const char* (*GetVersionString)();
};

// A custom operator, as of version 17 of the ABI. The four last members belong to version 18; they are here, null,
// because releases exist that read them without looking at `version`.
struct OrtCustomOp {
    uint32_t version;
    void* (*CreateKernel)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*);  // unused: cannot report an error
    const char* (*GetName)(const OrtCustomOp*);
    const char* (*GetExecutionProviderType)(const OrtCustomOp*);  // null: CPU
    int (*GetInputType)(const OrtCustomOp*, size_t index);
    size_t (*GetInputTypeCount)(const OrtCustomOp*);
    int (*GetOutputType)(const OrtCustomOp*, size_t index);
    size_t (*GetOutputTypeCount)(const OrtCustomOp*);
    void (*KernelCompute)(void* kernel, OrtKernelContext*);  // unused: cannot report an error
    void (*KernelDestroy)(void* kernel);
    int (*GetInputCharacteristic)(const OrtCustomOp*, size_t index);
    int (*GetOutputCharacteristic)(const OrtCustomOp*, size_t index);
    int (*GetInputMemoryType)(const OrtCustomOp*, size_t index);
    int (*GetVariadicInputMinArity)(const OrtCustomOp*);
    int (*GetVariadicInputHomogeneity)(const OrtCustomOp*);
    int (*GetVariadicOutputMinArity)(const OrtCustomOp*);
    int (*GetVariadicOutputHomogeneity)(const OrtCustomOp*);
    OrtStatus* (*CreateKernelV2)(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo*, void** kernel);
    OrtStatus* (*KernelComputeV2)(void* kernel, OrtKernelContext*);
    OrtStatus* (*InferOutputShapeFn)(const OrtCustomOp*, OrtShapeInferContext*);
    int (*GetStartVersion)(const OrtCustomOp*);
    int (*GetEndVersion)(const OrtCustomOp*);
    size_t (*GetMayInplace)(int** input_index, int** output_index);
    void (*ReleaseMayInplace)(int* input_index, int* output_index);
    size_t (*GetAliasMap)(int** input_index, int** output_index);
    void (*ReleaseAliasMap)(int* input_index, int* output_index);
};

}  // extern "C"

namespace sparse_qonnx {

constexpr uint32_t kApiVersion = 17;

// OrtErrorCode
constexpr int kFail = 1;
constexpr int kInvalidArgument = 2;

// ONNXTensorElementDataType
constexpr int kFloat = 1;
constexpr int kInt64 = 7;
constexpr int kDouble = 11;

// OrtCustomOpInputOutputCharacteristic
constexpr int kRequired = 0;
constexpr int kOptional = 1;

// X(place in OrtApi, function, return type, parameters)
// clang-format off
#define SPARSE_QONNX_ORT_FUNCTIONS(X)                                                                              \
    X(0, CreateStatus, OrtStatus*, (int code, const char* message))                                                \
    X(2, GetErrorMessage, const char*, (const OrtStatus*))                                                         \
    X(26, CreateCustomOpDomain, OrtStatus*, (const char* domain, OrtCustomOpDomain** out))                         \
    X(27, CustomOpDomain_Add, OrtStatus*, (OrtCustomOpDomain*, const OrtCustomOp*))                                \
    X(28, AddCustomOpDomain, OrtStatus*, (OrtSessionOptions*, OrtCustomOpDomain*))                                 \
    X(51, GetTensorMutableData, OrtStatus*, (OrtValue*, void** out))                                               \
    X(60, GetTensorElementType, OrtStatus*, (const OrtTensorTypeAndShapeInfo*, int* out))                          \
    X(61, GetDimensionsCount, OrtStatus*, (const OrtTensorTypeAndShapeInfo*, size_t* out))                         \
    X(62, GetDimensions, OrtStatus*, (const OrtTensorTypeAndShapeInfo*, int64_t* out, size_t count))               \
    X(65, GetTensorTypeAndShape, OrtStatus*, (const OrtValue*, OrtTensorTypeAndShapeInfo** out))                   \
    X(85, KernelInfoGetAttribute_float, OrtStatus*, (const OrtKernelInfo*, const char* name, float* out))          \
    X(86, KernelInfoGetAttribute_int64, OrtStatus*, (const OrtKernelInfo*, const char* name, int64_t* out))        \
    X(87, KernelInfoGetAttribute_string, OrtStatus*,                                                               \
      (const OrtKernelInfo*, const char* name, char* out, size_t* size))                                           \
    X(88, KernelContext_GetInputCount, OrtStatus*, (const OrtKernelContext*, size_t* out))                         \
    X(90, KernelContext_GetInput, OrtStatus*, (const OrtKernelContext*, size_t index, const OrtValue** out))       \
    X(91, KernelContext_GetOutput, OrtStatus*,                                                                     \
      (OrtKernelContext*, size_t index, const int64_t* dims, size_t count, OrtValue** out))                        \
    X(93, ReleaseStatus, void, (OrtStatus*))                                                                       \
    X(99, ReleaseTensorTypeAndShapeInfo, void, (OrtTensorTypeAndShapeInfo*))                                       \
    X(101, ReleaseCustomOpDomain, void, (OrtCustomOpDomain*))                                                      \
    X(163, KernelInfoGetAttributeArray_int64, OrtStatus*,                                                          \
      (const OrtKernelInfo*, const char* name, int64_t* out, size_t* size))                                        \
    X(230, KernelInfo_GetInputCount, OrtStatus*, (const OrtKernelInfo*, size_t* out))                              \
    X(244, KernelInfo_GetNodeName, OrtStatus*, (const OrtKernelInfo*, char* out, size_t* size))                    \
    X(249, KernelInfoGetConstantInput_tensor, OrtStatus*,                                                          \
      (const OrtKernelInfo*, size_t index, int* is_constant, const OrtValue** out))                                \
    X(274, KernelContext_ParallelFor, OrtStatus*,                                                                  \
      (const OrtKernelContext*, void (*body)(void* user, size_t index), size_t total, size_t batches, void* user))

// clang-format on

// The functions above, taken out of onnxruntime's table.
struct Api {
    explicit Api(const OrtApi* table) {
        const auto* places = reinterpret_cast<const void* const*>(table);
#define SPARSE_QONNX_LOAD(place, name, result, parameters) name = reinterpret_cast<decltype(name)>(places[place]);
        SPARSE_QONNX_ORT_FUNCTIONS(SPARSE_QONNX_LOAD)
#undef SPARSE_QONNX_LOAD
    }

#define SPARSE_QONNX_MEMBER(place, name, result, parameters) result(*name) parameters;
    SPARSE_QONNX_ORT_FUNCTIONS(SPARSE_QONNX_MEMBER)
#undef SPARSE_QONNX_MEMBER
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_ORT_ABI_H_
