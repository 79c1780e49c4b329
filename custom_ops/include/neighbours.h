// Which slots lie under the kernel of which other slot.
//
// With few active slots every pair is tested; above that, slots are sorted into raster order (they usually are already)
// and each kernel row is a window that slides along the sorted list, so that the work grows with the number of slots
// and of hits, never with its square. Coordinates may be any 64-bit numbers: differences wrap around, and no coordinate
// is ever used as an index.
#ifndef SPARSE_QONNX_NEIGHBOURS_H_
#define SPARSE_QONNX_NEIGHBOURS_H_

#include <algorithm>
#include <cstdint>

#include "arena.h"
#include "isa.h"

namespace sparse_qonnx {

// Kernel of a convolution with stride 1 and Keras's "same" padding: of an odd rest, the larger half comes last.
struct Window {
    int64_t height, width, row_dilation, column_dilation;

    int64_t Top() const { return (height - 1) * row_dilation / 2; }
    int64_t Left() const { return (width - 1) * column_dilation / 2; }
    int64_t Taps() const { return height * width; }
};

// A pixel of the sparse map, and its place in the list it came from.
struct Pixel {
    int64_t row, column;
    int64_t slot;

    friend SPARSE_QONNX_INLINE bool operator<(const Pixel& a, const Pixel& b) {
        return a.row < b.row || (a.row == b.row && a.column < b.column);
    }
};

// A source under one tap of the kernel.
struct Hit {
    int32_t source;  // Pixel::slot
    int32_t tap;
};

// a - b and a + b without overflow, modulo 2^64.
SPARSE_QONNX_INLINE int64_t Minus(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}
SPARSE_QONNX_INLINE int64_t Plus(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

class Neighbours {
  public:
    static constexpr int64_t kAllPairs = 48;  // up to this many sources, testing every pair is the fastest

    Neighbours(const Window& window, Arena& arena, int64_t slots)
        : window_(window),
          top_(window.Top()),
          left_(window.Left()),
          row_starts_(arena.Take<int64_t>(static_cast<size_t>(window.height))),
          hits_(arena.Take<Hit>(static_cast<size_t>(slots) + 1)) {}

    // Calls `use(target, hits, count)` for every target; sources that are no neighbour of any target cost next to
    // nothing. May reorder both lists.
    template <typename Use>
    SPARSE_QONNX_INLINE void ForEach(Pixel* targets, int64_t target_count, Pixel* sources, int64_t source_count,
                                     const Use& use) {
        if (source_count <= kAllPairs) {
            for (int64_t t = 0; t < target_count; ++t) {
                use(targets[t], hits_, TestPairs(targets[t], sources, source_count));
            }
            return;
        }
        SortIfNeeded(targets, target_count);
        SortIfNeeded(sources, source_count);
        std::fill_n(row_starts_, window_.height, 0);
        for (int64_t t = 0; t < target_count; ++t) {
            use(targets[t], hits_, Slide(targets[t], sources, source_count));
        }
    }

  private:
    static void SortIfNeeded(Pixel* pixels, int64_t count) {
        if (!std::is_sorted(pixels, pixels + count)) std::sort(pixels, pixels + count);
    }

    // Whether `offset`, counted from the first tap, falls on a tap of `size` taps; sets its index.
    static SPARSE_QONNX_INLINE bool OnTap(int64_t offset, int64_t size, int64_t dilation, int64_t* index) {
        const auto distance = static_cast<uint64_t>(offset);
        if (dilation == 1) {
            *index = offset;
            return distance < static_cast<uint64_t>(size);
        }
        *index = static_cast<int64_t>(distance / static_cast<uint64_t>(dilation));
        return distance <= static_cast<uint64_t>((size - 1) * dilation) &&
               distance % static_cast<uint64_t>(dilation) == 0;
    }

    // Writes without a branch: whether two pixels are neighbours cannot be predicted.
    SPARSE_QONNX_INLINE int64_t TestPairs(const Pixel& target, const Pixel* sources, int64_t count) {
        int64_t found = 0;
        const int64_t first_row = Minus(target.row, top_), first_column = Minus(target.column, left_);
        for (int64_t s = 0; s < count; ++s) {
            int64_t y, x;
            const bool on_row = OnTap(Minus(sources[s].row, first_row), window_.height, window_.row_dilation, &y);
            const bool on_column =
                OnTap(Minus(sources[s].column, first_column), window_.width, window_.column_dilation, &x);
            const bool hit = on_row & on_column;
            hits_[found] = {static_cast<int32_t>(sources[s].slot),
                            hit ? static_cast<int32_t>(y * window_.width + x) : 0};
            found += hit;
        }
        return found;
    }

    // Targets come in raster order, so the window of each kernel row only moves forward.
    SPARSE_QONNX_INLINE int64_t Slide(const Pixel& target, const Pixel* sources, int64_t count) {
        int64_t found = 0;
        const int64_t first_column = Minus(target.column, left_);
        for (int64_t y = 0; y < window_.height; ++y) {
            const int64_t row = Plus(Minus(target.row, top_), y * window_.row_dilation);
            int64_t& start = row_starts_[y];
            while (start < count && sources[start] < Pixel{row, first_column, 0}) ++start;
            for (int64_t s = start; s < count && sources[s].row == row; ++s) {
                const int64_t offset = Minus(sources[s].column, first_column);
                if (offset < 0 || offset > (window_.width - 1) * window_.column_dilation) break;
                int64_t x;
                if (!OnTap(offset, window_.width, window_.column_dilation, &x) || found >= count) continue;
                hits_[found++] = {static_cast<int32_t>(sources[s].slot), static_cast<int32_t>(y * window_.width + x)};
            }
        }
        return found;
    }

    Window window_;
    int64_t top_, left_;
    int64_t* row_starts_;
    Hit* hits_;
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_NEIGHBOURS_H_
