#include "registry.h"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace sparse_qonnx {

const ListedOp*& FirstOp() {
    static const ListedOp* first = nullptr;  // local, so that it exists before the first registration runs
    return first;
}

namespace {

using Domains = std::vector<OrtCustomOpDomain*>;

// Domains with all operators in them. Session options only point to a domain, and sessions outlive the options, so the
// domains are made once for each onnxruntime in the process and live as long as it does.
const Domains& DomainsOf(const OrtApi* table) {
    static std::mutex mutex;
    static auto* made = new std::map<const OrtApi*, Domains>;
    const std::lock_guard<std::mutex> lock(mutex);
    if (const auto known = made->find(table); known != made->end()) return known->second;
    const Api api(table);
    std::map<std::string, OrtCustomOpDomain*> by_name;
    for (const ListedOp* op = FirstOp(); op != nullptr; op = op->next) {
        OrtCustomOpDomain*& domain = by_name[op->domain];
        if (domain == nullptr) ThrowIfError(api, api.CreateCustomOpDomain(op->domain, &domain));
        ThrowIfError(api, api.CustomOpDomain_Add(domain, op));
    }
    Domains domains;
    for (const auto& named : by_name) {
        domains.push_back(named.second);
    }
    return made->emplace(table, std::move(domains)).first->second;
}

}  // namespace

}  // namespace sparse_qonnx

// The entry point onnxruntime looks for (SessionOptions.register_custom_ops_library and its C, C++ and C# equivalents).
extern "C" __attribute__((visibility("default"))) OrtStatus* RegisterCustomOps(OrtSessionOptions* options,
                                                                               const OrtApiBase* base) {
    using namespace sparse_qonnx;
    const OrtApi* table = base->GetApi(kApiVersion);
    if (table == nullptr) {
        // CreateStatus has been at place 0 since version 1; the rest of an older table must not be read.
        const auto create_status = *reinterpret_cast<decltype(Api::CreateStatus) const*>(base->GetApi(1));
        const std::string message = std::string("sparse_qonnx: onnxruntime ") + base->GetVersionString() +
                                    " is too old for the native kernels; 1.17 or newer is needed";
        return create_status(kFail, message.c_str());
    }
    const Api api(table);
    return AsStatus(api, "sparse_qonnx", [&] {
        for (OrtCustomOpDomain* domain : DomainsOf(table)) {
            ThrowIfError(api, api.AddCustomOpDomain(options, domain));
        }
    });
}
