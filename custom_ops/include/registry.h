// Turns a kernel class into an OrtCustomOp and puts it on the list that RegisterCustomOps walks.
//
// A kernel is a class template over the element type of its feature maps, with
//     static constexpr const char* kDomain, *kName;
//     static constexpr Port kInputs[], kOutputs[];
//     explicit Kernel(const KernelInfo&);      attributes and constants, checked once
//     void Compute(KernelContext&) const;      called by several threads at once
// and one line in its own file, `SPARSE_QONNX_KERNEL(Kernel);`, makes it known: there is no central list.
#ifndef SPARSE_QONNX_REGISTRY_H_
#define SPARSE_QONNX_REGISTRY_H_

#include <exception>
#include <memory>
#include <string>

#include "kernel.h"

namespace sparse_qonnx {

// Type of an input or output. `kValue` stands for the element type of the kernel.
struct Port {
    static constexpr int kValue = 0;
    int type;
    int presence = kRequired;
};

// An operator on the list.
struct ListedOp : OrtCustomOp {
    const char* domain;
    const ListedOp* next;
};

// First operator of the list; null at its end.
const ListedOp*& FirstOp();

// Runs `body`; whatever it throws becomes a status, since no exception may cross into onnxruntime.
template <typename Body>
OrtStatus* AsStatus(const Api& api, const std::string& label, Body&& body) noexcept {
    try {
        body();
        return nullptr;
    } catch (const Error& error) {
        return api.CreateStatus(kInvalidArgument, (label + ": " + error.what()).c_str());
    } catch (const std::exception& error) {
        return api.CreateStatus(kFail, (label + ": " + error.what()).c_str());
    } catch (...) {
        return api.CreateStatus(kFail, label.c_str());
    }
}

template <typename Kernel, typename T>
class Op : public ListedOp {
  public:
    Op() : ListedOp{} {
        version = kApiVersion;
        GetName = [](const OrtCustomOp*) { return Kernel::kName; };
        GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return nullptr; };
        GetInputTypeCount = [](const OrtCustomOp*) { return std::size(Kernel::kInputs); };
        GetOutputTypeCount = [](const OrtCustomOp*) { return std::size(Kernel::kOutputs); };
        GetInputType = [](const OrtCustomOp*, size_t index) { return TypeOf(Kernel::kInputs[index]); };
        GetOutputType = [](const OrtCustomOp*, size_t index) { return TypeOf(Kernel::kOutputs[index]); };
        GetInputCharacteristic = [](const OrtCustomOp*, size_t index) { return Kernel::kInputs[index].presence; };
        GetOutputCharacteristic = [](const OrtCustomOp*, size_t index) { return Kernel::kOutputs[index].presence; };
        GetInputMemoryType = [](const OrtCustomOp*, size_t) { return 0; };
        GetVariadicInputMinArity = GetVariadicInputHomogeneity = [](const OrtCustomOp*) { return 1; };
        GetVariadicOutputMinArity = GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 1; };
        GetStartVersion = GetEndVersion = [](const OrtCustomOp*) { return 1; };
        CreateKernelV2 = &Create;
        KernelComputeV2 = &Compute;
        KernelDestroy = [](void* node) { delete static_cast<Node*>(node); };
        domain = Kernel::kDomain;
        next = FirstOp();
        FirstOp() = this;
    }

  private:
    // A kernel with what its error messages and calls need.
    struct Node {
        Node(const Api& table, const OrtKernelInfo* info, std::string text)
            : api(table), label(std::move(text)), kernel(KernelInfo(api, info, Kernel::kName)) {}
        Api api;
        std::string label;
        Kernel kernel;
    };

    static int TypeOf(const Port& port) { return port.type == Port::kValue ? ElementType<T>::value : port.type; }

    static OrtStatus* Create(const OrtCustomOp*, const OrtApi* table, const OrtKernelInfo* info, void** out) {
        const Api api(table);
        std::string label = KernelInfo(api, info, Kernel::kName).Label();
        return AsStatus(api, label, [&] { *out = new Node(api, info, label); });
    }

    static OrtStatus* Compute(void* opaque, OrtKernelContext* raw) {
        const auto* node = static_cast<const Node*>(opaque);
        return AsStatus(node->api, node->label, [&] {
            KernelContext context(node->api, raw);
            node->kernel.Compute(context);
        });
    }
};

// Registers the float and the double variant of a kernel.
#define SPARSE_QONNX_KERNEL(Kernel)                                         \
    static const ::sparse_qonnx::Op<Kernel<float>, float> k##Kernel##Float; \
    static const ::sparse_qonnx::Op<Kernel<double>, double> k##Kernel##Double

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_REGISTRY_H_
