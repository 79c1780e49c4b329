#include "kernel.h"

namespace sparse_qonnx {

namespace {

// onnxruntime's way of returning text: asked once for the size, then for the characters and a closing 0.
template <typename Ask>
bool ReadText(Ask ask, std::string* text) {
    size_t size = 0;
    if (!ask(nullptr, &size) || size == 0) return false;
    text->resize(size);
    if (!ask(text->data(), &size)) return false;
    text->resize(text->find('\0') == std::string::npos ? size : text->find('\0'));
    return true;
}

const char* TypeName(int type) {
    switch (type) {
        case kFloat:
            return "float";
        case kDouble:
            return "double";
        case kInt64:
            return "int64";
        default:
            return "another type";
    }
}

}  // namespace

void ThrowIfError(const Api& api, OrtStatus* status) {
    if (status == nullptr) return;
    const std::string message = api.GetErrorMessage(status);
    api.ReleaseStatus(status);
    throw Error(message);
}

Tensor View(const Api& api, const char* name, const OrtValue* value) {
    Tensor tensor;
    OrtTensorTypeAndShapeInfo* info = nullptr;
    ThrowIfError(api, api.GetTensorTypeAndShape(value, &info));
    struct Guard {
        const Api& api;
        OrtTensorTypeAndShapeInfo* info;
        ~Guard() { api.ReleaseTensorTypeAndShapeInfo(info); }
    } guard{api, info};
    size_t rank = 0;
    ThrowIfError(api, api.GetTensorElementType(info, &tensor.type));
    ThrowIfError(api, api.GetDimensionsCount(info, &rank));
    if (rank > Shape::kMaxRank) {
        Fail("input ", name, " has ", rank, " dimensions; at most ", Shape::kMaxRank, " are supported");
    }
    tensor.shape.resize(rank);
    ThrowIfError(api, api.GetDimensions(info, tensor.shape.data(), rank));
    void* data = nullptr;
    // There is no function for reading only in version 17; nothing is written through this pointer.
    ThrowIfError(api, api.GetTensorMutableData(const_cast<OrtValue*>(value), &data));
    tensor.data = data;
    return tensor;
}

bool KernelInfo::Ok(OrtStatus* status) const {
    if (status == nullptr) return true;
    api_.ReleaseStatus(status);
    return false;
}

std::string KernelInfo::Label() const {
    std::string node;
    ReadText([&](char* out, size_t* size) { return Ok(api_.KernelInfo_GetNodeName(info_, out, size)); }, &node);
    return node.empty() ? std::string(op_) : std::string(op_) + " node '" + node + "'";
}

std::optional<int64_t> KernelInfo::TryInt(const char* name) const {
    int64_t value = 0;
    if (!Ok(api_.KernelInfoGetAttribute_int64(info_, name, &value))) return std::nullopt;
    return value;
}

std::optional<std::string> KernelInfo::TryString(const char* name) const {
    std::string text;
    const auto ask = [&](char* out, size_t* size) {
        return Ok(api_.KernelInfoGetAttribute_string(info_, name, out, size));
    };
    if (!ReadText(ask, &text)) return std::nullopt;
    return text;
}

std::optional<std::vector<int64_t>> KernelInfo::TryInts(const char* name) const {
    size_t size = 0;
    if (!Ok(api_.KernelInfoGetAttributeArray_int64(info_, name, nullptr, &size))) return std::nullopt;
    std::vector<int64_t> values(size);
    if (size == 0 || !Ok(api_.KernelInfoGetAttributeArray_int64(info_, name, values.data(), &size))) {
        return std::nullopt;
    }
    return values;
}

int64_t KernelInfo::Int(const char* name) const {
    const auto value = TryInt(name);
    if (!value) Fail("the integer attribute ", name, " is missing");
    return *value;
}

int64_t KernelInfo::Int(const char* name, int64_t fallback) const { return TryInt(name).value_or(fallback); }

float KernelInfo::Float(const char* name) const {
    float value = 0;
    if (!Ok(api_.KernelInfoGetAttribute_float(info_, name, &value))) {
        Fail("the float attribute ", name, " is missing");
    }
    return value;
}

std::string KernelInfo::String(const char* name) const {
    const auto value = TryString(name);
    if (!value) Fail("the string attribute ", name, " is missing");
    return *value;
}

std::string KernelInfo::String(const char* name, const char* fallback) const {
    return TryString(name).value_or(fallback);
}

std::vector<int64_t> KernelInfo::Sizes(const char* name, size_t count) const { return Sizes(name, count, {}); }

std::vector<int64_t> KernelInfo::Sizes(const char* name, size_t count, std::vector<int64_t> fallback) const {
    const auto values = TryInts(name).value_or(std::move(fallback));
    if (values.size() != count) {
        Fail("the attribute ", name, " needs ", count, " integers, and has ", values.size());
    }
    for (int64_t value : values) {
        if (value < 1) Fail("the attribute ", name, " holds ", value, "; every number must be at least 1");
    }
    return values;
}

size_t KernelInfo::InputCount() const {
    size_t count = 0;
    ThrowIfError(api_, api_.KernelInfo_GetInputCount(info_, &count));
    return count;
}

std::optional<Tensor> KernelInfo::Constant(size_t index) const {
    if (index >= InputCount()) return std::nullopt;
    int is_constant = 0;
    const OrtValue* value = nullptr;
    if (!Ok(api_.KernelInfoGetConstantInput_tensor(info_, index, &is_constant, &value))) return std::nullopt;
    if (!is_constant || value == nullptr) return std::nullopt;
    return View(api_, "(constant)", value);
}

std::optional<Tensor> KernelContext::Find(size_t index, const char* name, int type, int rank) const {
    size_t count = 0;
    ThrowIfError(api_, api_.KernelContext_GetInputCount(context_, &count));
    if (index >= count) return std::nullopt;
    const OrtValue* value = nullptr;
    ThrowIfError(api_, api_.KernelContext_GetInput(context_, index, &value));
    if (value == nullptr) return std::nullopt;
    Tensor tensor = View(api_, name, value);
    if (tensor.type != type) {
        Fail("input ", name, " has ", TypeName(tensor.type), " elements; ", TypeName(type), " is needed");
    }
    if (rank >= 0 && tensor.shape.rank() != static_cast<size_t>(rank)) {
        Fail("input ", name, " has the shape ", tensor.shape, "; ", rank, " dimensions are needed");
    }
    return tensor;
}

Tensor KernelContext::Required(size_t index, const char* name, int type, int rank) const {
    auto tensor = Find(index, name, type, rank);
    if (!tensor) Fail("input ", name, " is missing");
    return *tensor;
}

void* KernelContext::OutputData(size_t index, const char* name, const Shape& shape) {
    CheckAddressable(name, shape);
    OrtValue* value = nullptr;
    ThrowIfError(api_, api_.KernelContext_GetOutput(context_, index, shape.data(), shape.rank(), &value));
    if (value == nullptr) Fail("output ", name, " is not connected");
    void* data = nullptr;
    ThrowIfError(api_, api_.GetTensorMutableData(value, &data));
    return data;
}

}  // namespace sparse_qonnx
