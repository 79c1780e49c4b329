// Every kernel from eight threads at once, each splitting its work over three more: one kernel shared by all, then one
// of each thread's own, made at the same time. Results must be those of a single thread, byte for byte. Built and run
// under ThreadSanitizer by custom_ops/sanitize.sh threads.
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>

#include "mock_ort.h"

extern "C" OrtStatus* RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* base);

namespace {

using sparse_qonnx::kDouble;
using sparse_qonnx::kFloat;
using sparse_qonnx::kInt64;

constexpr int kThreads = 8;
constexpr size_t kSplit = 3;
constexpr int64_t kBatch = 400, kSlots = 24, kChannels = 3, kFilters = 5, kHeight = 12, kWidth = 10;

struct Case {
    std::string domain, op;
    OrtKernelInfo node;
};

// Tensors of a run over maps of one element type; they live as long as the process.
template <typename T>
class Tensors {
  public:
    explicit Tensors(int type) : type_(type) {}

    OrtValue* Values(std::vector<int64_t> dims, int low, int high, double step) {
        OrtValue* value = Make(type_, std::move(dims));
        std::uniform_int_distribution<int> draw(low, high);
        for (int64_t i = 0; i < Count(*value); ++i) value->data<T>()[i] = static_cast<T>(draw(random_) * step);
        return value;
    }

    // Distinct pixels in raster order, a different number in each event, then empty slots.
    OrtValue* Coordinates() {
        OrtValue* value = Make(kInt64, {kBatch, kSlots, 2});
        auto* out = value->data<int64_t>();
        for (int64_t event = 0; event < kBatch; ++event) {
            int64_t slot = event * kSlots;
            const int64_t end = slot + event % (kSlots + 1);
            for (int64_t pixel = static_cast<int64_t>(random_() % 3); slot < end && pixel < kHeight * kWidth; ++slot) {
                out[2 * slot] = pixel / kWidth + 1;
                out[2 * slot + 1] = pixel % kWidth + 1;
                pixel += 1 + static_cast<int64_t>(random_() % 4);
            }
        }
        return value;
    }

  private:
    static int64_t Count(const OrtValue& value) {
        int64_t count = 1;
        for (int64_t dim : value.info.dims) count *= dim;
        return count;
    }
    static OrtValue* Make(int type, std::vector<int64_t> dims) {
        auto* value = new OrtValue;
        value->Resize(type, std::move(dims));
        return value;
    }

    int type_;
    std::mt19937 random_{7};
};

template <typename T>
std::vector<Case> Cases(int type) {
    Tensors<T> make(type);
    OrtValue* coords = make.Coordinates();
    OrtValue* x = make.Values({kBatch, kSlots, kChannels}, -40, 40, 0.125);
    OrtValue* w = make.Values({kFilters, kChannels, 3, 3}, -7, 7, 0.25);
    OrtValue* bias = make.Values({kFilters}, -7, 7, 0.25);
    OrtValue* matrix = make.Values({kFilters, kChannels, kHeight, kWidth}, -3, 3, 0.5);
    OrtValue* image = make.Values({kBatch, kHeight, kWidth, kChannels}, -9, 9, 0.25);
    OrtValue* one = make.Values({}, 1, 1, 1);
    OrtValue* zero = make.Values({}, 0, 0, 1);
    OrtValue* bits = make.Values({kFilters}, 1, 4, 1);
    OrtValue* map = make.Values({kHeight, kWidth, kChannels}, 0, 4, 1);
    const std::string ours = "sparse_qonnx.ops", fused = "sparse_qonnx.ops.fused", qonnx = "qonnx.custom_op.general";
    const std::map<std::string, Attribute> conv = {{"kernel_shape", std::vector<int64_t>{3, 3}}};
    const std::map<std::string, Attribute> modes = {{"rounding_mode", "RND_CONV"}, {"overflow_mode", "SAT_SYM"}};
    const std::map<std::string, Attribute> uniform = {
        {"signed", int64_t{1}}, {"narrow", int64_t{0}}, {"rounding_mode", "ROUND"}};
    const std::vector<int64_t> image_shape = {kHeight, kWidth};
    const auto pool = [&](const char* mode) -> std::map<std::string, Attribute> {
        return {{"mode", mode}, {"kernel_shape", std::vector<int64_t>{2, 2}}, {"spatial_shape", image_shape}};
    };
    const auto with = [](std::map<std::string, Attribute> some, const std::map<std::string, Attribute>& more) {
        some.insert(more.begin(), more.end());
        return some;
    };
    const std::map<std::string, Attribute> epilogue =
        with({{"relu", int64_t{1}}, {"quantizer", "FixedPointQuant"}, {"by_pixel", int64_t{0}}}, modes);
    const bool yes = true, no = false;
    return {
        {ours, "InputReduce", {{{"n_max_pixels", kSlots}, {"threshold", 1.0F}}, {image}, {no}}},
        {ours, "SparseConv", {conv, {x, coords, w, bias}, {no, no, yes, yes}}},
        {ours, "SparseConv", {conv, {x, coords, w}, {no, no, no}}},
        {ours, "SparsePool", {pool("average"), {x, coords}, {no, no}}},
        {ours, "SparsePool", {pool("max"), {x, coords}, {no, no}}},
        {ours, "SparseToDense", {{{"spatial_shape", image_shape}}, {x, coords}, {no, no}}},
        {ours, "FixedPointQuant", {modes, {x, one, one, one}, {no, yes, yes, yes}}},
        {ours, "FixedPointQuant", {modes, {x, one, map, map, coords}, {no, yes, yes, yes, no}}},
        {ours, "FixedPointQuant", {modes, {x, one, map, map, coords}, {no, no, no, no, no}}},
        {qonnx, "Quant", {uniform, {x, one, zero, one}, {no, yes, yes, yes}}},
        {qonnx, "Quant", {uniform, {w, one, zero, one}, {yes, yes, yes, yes}}},
        {fused,
         "SparseConv",
         {with(conv, epilogue), {x, coords, w, bias, one, bits, bits}, {no, no, yes, yes, yes, yes, yes}}},
        {fused,
         "SparseDense",
         {epilogue, {x, coords, matrix, bias, one, bits, bits}, {no, no, yes, yes, yes, yes, yes}}},
    };
}

[[noreturn]] void Die(const Case& one, const std::string& what) {
    std::fprintf(stderr, "%s::%s: %s\n", one.domain.c_str(), one.op.c_str(), what.c_str());
    std::exit(1);
}

void Check(const Case& one, OrtStatus* status) {
    if (status != nullptr) Die(one, status->message);
}

const OrtCustomOp* Registered(const Case& one, int type) {
    static const OrtApiBase base = {[](uint32_t) { return mock::Table(); }, [] { return "mock"; }};
    OrtSessionOptions options;
    Check(one, RegisterCustomOps(&options, &base));
    for (const OrtCustomOpDomain* domain : options.domains) {
        if (domain->name != one.domain) continue;
        for (const OrtCustomOp* op : domain->ops) {
            if (op->GetName(op) == one.op && op->GetInputType(op, 0) == type) return op;
        }
    }
    Die(one, "is not registered");
}

// A kernel as onnxruntime holds one.
class Kernel {
  public:
    Kernel(const Case& one, int type) : case_(one), op_(Registered(one, type)), type_(type) {
        Check(one, op_->CreateKernelV2(op_, mock::Table(), &one.node, &kernel_));
    }
    ~Kernel() { op_->KernelDestroy(kernel_); }
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;

    std::vector<OrtValue> Run(size_t threads) const {
        OrtKernelContext context{&case_.node, {type_, kInt64}, std::vector<OrtValue>(2), threads};
        Check(case_, op_->KernelComputeV2(kernel_, &context));
        return std::move(context.outputs);
    }

  private:
    const Case& case_;
    const OrtCustomOp* op_;
    int type_;
    void* kernel_ = nullptr;
};

void Compare(const Case& one, const std::vector<OrtValue>& got, const std::vector<OrtValue>& want) {
    for (size_t i = 0; i < want.size(); ++i) {
        const size_t bytes = want[i].memory.size() * sizeof(double);
        if (got[i].info.dims != want[i].info.dims || got[i].memory.size() != want[i].memory.size() ||
            (bytes != 0 && std::memcmp(got[i].memory.data(), want[i].memory.data(), bytes) != 0)) {
            Die(one, "threads give another result");
        }
    }
}

template <typename Work>
void InThreads(Work work) {
    std::vector<std::thread> threads;
    for (int n = 0; n < kThreads; ++n) threads.emplace_back(work);
    for (std::thread& thread : threads) thread.join();
}

template <typename T>
int RunAll(int type, int rounds) {
    int runs = 0;
    for (const Case& one : Cases<T>(type)) {
        std::vector<OrtValue> want;
        // The kernels made first are made by eight threads at once, the list of operators included.
        InThreads([&] { Kernel(one, type).Run(kSplit); });
        const Kernel shared(one, type);
        want = shared.Run(1);
        InThreads([&] {
            const Kernel own(one, type);
            for (int round = 0; round < rounds; ++round) {
                Compare(one, shared.Run(kSplit), want);
                Compare(one, own.Run(kSplit), want);
            }
        });
        runs += kThreads * (1 + 2 * rounds) + 1;
        std::printf("%-24s %-16s %s\n", one.domain.c_str(), one.op.c_str(), type == kFloat ? "float" : "double");
    }
    return runs;
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
    const int runs = RunAll<float>(kFloat, rounds) + RunAll<double>(kDouble, rounds);
    std::printf("%d runs from %d threads, each over %zu: the results of one thread\n", runs, kThreads, kSplit);
    return 0;
}
