// Scratch memory of a thread: taken piece by piece, given back all at once, kept for the next time.
#ifndef SPARSE_QONNX_ARENA_H_
#define SPARSE_QONNX_ARENA_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

namespace sparse_qonnx {

class Arena {
  public:
    // The calling thread's arena, emptied. One user at a time: pieces live until the next call.
    static Arena& OfThread() {
        static thread_local Arena arena;
        arena.Reset();
        return arena;
    }

    // `count` uninitialised elements, aligned for vector loads, with room for a vector store behind the last one.
    template <typename T>
    T* Take(size_t count) {
        if (count > (SIZE_MAX / 2) / sizeof(T)) throw std::bad_alloc();
        const size_t bytes = (count * sizeof(T) + 2 * kAlign - 1) / kAlign * kAlign;
        if (blocks_.empty() || used_ + bytes > blocks_.back().size) Grow(bytes);
        unsigned char* piece = blocks_.back().aligned + used_;
        used_ += bytes;
        return reinterpret_cast<T*>(piece);
    }

  private:
    static constexpr size_t kAlign = 64;

    struct Block {
        std::unique_ptr<unsigned char[]> memory;
        unsigned char* aligned;
        size_t size;
    };

    void Grow(size_t bytes) {
        const size_t size = bytes < 4096 ? 4096 : bytes;
        std::unique_ptr<unsigned char[]> memory(new unsigned char[size + kAlign]);
        const auto address = reinterpret_cast<uintptr_t>(memory.get());
        unsigned char* aligned = memory.get() + ((kAlign - address % kAlign) % kAlign);
        blocks_.push_back({std::move(memory), aligned, size});
        used_ = 0;
    }

    // Several blocks become one, so that the next round needs none.
    void Reset() {
        used_ = 0;
        if (blocks_.size() < 2) return;
        size_t total = 0;
        for (const Block& block : blocks_) {
            total += block.size;
        }
        blocks_.clear();
        Grow(total);
    }

    std::vector<Block> blocks_;
    size_t used_ = 0;
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_ARENA_H_
