// Splits a batch over onnxruntime's own threads.
#ifndef SPARSE_QONNX_PARALLEL_H_
#define SPARSE_QONNX_PARALLEL_H_

#include <algorithm>
#include <cstdint>
#include <exception>
#include <mutex>

#include "isa.h"
#include "kernel.h"

namespace sparse_qonnx {

// Rough cost of a piece of work in nanoseconds that is worth waking another thread for.
constexpr int64_t kChunkCost = 20000;

namespace internal {

// Keeps the exception of the first failing event, whichever thread meets it first: messages do not depend on timing.
class FirstError {
  public:
    void Store(int64_t position, std::exception_ptr error) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!error_ || position < position_) {
            position_ = position;
            error_ = std::move(error);
        }
    }
    void Rethrow() const {
        if (error_) std::rethrow_exception(error_);
    }

  private:
    std::mutex mutex_;
    int64_t position_ = 0;
    std::exception_ptr error_;
};

template <typename Body>
struct Split {
    const Body& body;
    int64_t count;
    int64_t chunk;
    FirstError error;

    static void Run(void* self, size_t index) {
        auto& split = *static_cast<Split*>(self);
        const int64_t begin = static_cast<int64_t>(index) * split.chunk;
        const int64_t end = std::min(split.count, begin + split.chunk);
        try {
            RunBest([&]() SPARSE_QONNX_INLINE_LAMBDA { split.body(begin, end); });
        } catch (...) {
            split.error.Store(begin, std::current_exception());
        }
    }
};

}  // namespace internal

// Calls `body(begin, end)` on parts of [0, count), possibly at the same time; `body` must be always inlined
// (SPARSE_QONNX_INLINE_LAMBDA). `cost` is the rough time for one item in nanoseconds. Results must not depend on how
// the range is split, and no thread of our own is ever started: a session limited to one thread stays on one thread.
template <typename Body>
void ParallelFor(const KernelContext& context, int64_t count, int64_t cost, const Body& body) {
    if (count <= 0) return;
    const int64_t chunk = std::clamp<int64_t>(kChunkCost / std::max<int64_t>(cost, 1), 1, count);
    internal::Split<Body> split{body, count, chunk, {}};
    const int64_t chunks = (count + chunk - 1) / chunk;
    if (chunks == 1) {
        RunBest([&]() SPARSE_QONNX_INLINE_LAMBDA { body(0, count); });
        return;
    }
    const Api& api = context.api();
    ThrowIfError(api, api.KernelContext_ParallelFor(context.raw(), &internal::Split<Body>::Run,
                                                    static_cast<size_t>(chunks), 0, &split));
    split.error.Rethrow();
}

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_PARALLEL_H_
