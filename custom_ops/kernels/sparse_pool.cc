// SparsePool (features[B, N, C], coords[B, N, 2]) -> (features', coords'): each cell of ph x pw pixels is emitted once,
// by its first slot; later slots of the cell and pixels of partial cells at the bottom and right edge become empty.
#include <algorithm>

#include "arena.h"
#include "parallel.h"
#include "registry.h"
#include "slots.h"

namespace sparse_qonnx {
namespace {

// Finds the first slot of a cell: open addressing over at least twice as many places as slots, so that the table stays
// small and in cache however large the image is. Entries of earlier events count as free: nothing is cleared in
// between.
class CellTable {
  public:
    SPARSE_QONNX_INLINE CellTable(Arena& arena, int64_t slots) {
        while ((int64_t{1} << bits_) < 2 * slots) ++bits_;
        entries_ = arena.Take<Entry>(size_t{1} << bits_);
        std::fill_n(entries_, size_t{1} << bits_, Entry{-1, 0, 0});
    }

    // The slot that holds `cell` in this event; `slot` itself if it is the first.
    SPARSE_QONNX_INLINE int64_t FirstSlot(int64_t event, int64_t cell, int64_t slot) {
        const uint64_t mask = (uint64_t{1} << bits_) - 1;
        uint64_t place = (static_cast<uint64_t>(cell) * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - bits_);
        while (entries_[place].event == event && entries_[place].cell != cell) place = (place + 1) & mask;
        if (entries_[place].event != event) entries_[place] = {event, cell, slot};
        return entries_[place].slot;
    }

  private:
    struct Entry {
        int64_t event;
        int64_t cell;
        int64_t slot;
    };
    Entry* entries_;
    int bits_ = 4;
};

template <typename T>
class SparsePool {
  public:
    static constexpr const char* kDomain = "sparse_qonnx.ops";
    static constexpr const char* kName = "SparsePool";
    static constexpr Port kInputs[] = {{Port::kValue}, {kInt64}};
    static constexpr Port kOutputs[] = {{Port::kValue}, {kInt64}};

    explicit SparsePool(const KernelInfo& info) {
        const auto kernel = info.Sizes("kernel_shape", 2);
        const auto shape = info.Sizes("spatial_shape", 2);
        const std::string mode = info.String("mode");
        if (mode != "average" && mode != "sum" && mode != "max") {
            Fail("mode is '", mode, "'; it must be 'average', 'sum' or 'max'");
        }
        CheckAddressable("the kernel_shape", {kernel[0], kernel[1]});
        CheckAddressable("the spatial_shape", {shape[0], shape[1]});
        is_max_ = mode == "max";
        kernel_ = {kernel[0], kernel[1]};
        image_ = {shape[0], shape[1]};
        cells_ = {shape[0] / kernel[0], shape[1] / kernel[1]};
        area_ = kernel[0] * kernel[1];
        divisor_ = mode == "average" ? area_ : 1;
    }

    void Compute(KernelContext& context) const {
        const SparseMap<T> map(context, 0, 1);
        T* features = context.Output<T>(0, "features", map.features.shape);
        int64_t* coords = context.Output<int64_t>(1, "coords", map.coords.shape);
        const int64_t cost = 50 + map.slots * (5 + map.channels);
        ParallelFor(context, map.batch, cost, [&](int64_t begin, int64_t end) SPARSE_QONNX_INLINE_LAMBDA {
            Arena& arena = Arena::OfThread();
            CellTable table(arena, map.slots);
            auto* counts = arena.Take<int64_t>(static_cast<size_t>(map.slots));
            for (int64_t event = begin; event < end; ++event) {
                const int64_t offset = event * map.slots;
                Pool(map, event, table, counts, features + offset * map.channels, coords + offset * 2);
            }
        });
    }

  private:
    SPARSE_QONNX_INLINE void Pool(const SparseMap<T>& map, int64_t event, CellTable& table, int64_t* counts,
                                  T* features, int64_t* coords) const {
        const int64_t channels = map.channels;
        const T* in = map.Features(event);
        const int64_t* in_coords = map.Coords(event);
        Zero(features, map.slots * channels);
        Zero(coords, 2 * map.slots);
        for (int64_t slot = 0; slot < map.slots; ++slot) {
            const int64_t row = in_coords[2 * slot], column = in_coords[2 * slot + 1];
            counts[slot] = 0;
            if (!IsActive(row, column)) continue;
            if (!image_.Contains(row, column)) image_.FailOutside(event, slot, row, column);
            const int64_t cell_row = Divide(row - 1, kernel_.height), cell_column = Divide(column - 1, kernel_.width);
            if (cell_row >= cells_.height || cell_column >= cells_.width) continue;  // a partial cell at the edge
            const int64_t first = table.FirstSlot(event, cell_row * cells_.width + cell_column, slot);
            if (counts[first]++ == 0) {
                coords[2 * first] = cell_row + 1;
                coords[2 * first + 1] = cell_column + 1;
            }
            Accumulate(in + slot * channels, first == slot, channels, features + first * channels);
        }
        for (int64_t slot = 0; slot < map.slots; ++slot) {
            if (counts[slot] != 0) Finish(counts[slot], channels, features + slot * channels);
        }
    }

    // 32-bit division is several times faster, and no real image is larger.
    static SPARSE_QONNX_INLINE int64_t Divide(int64_t a, int64_t b) {
        if (a > UINT32_MAX || b > UINT32_MAX) return a / b;
        return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
    }

    SPARSE_QONNX_INLINE void Accumulate(const T* in, bool is_first, int64_t channels, T* out) const {
        for (int64_t c = 0; c < channels; ++c) {
            const T value = in[c];
            // NaN wins, as it does in the maximum of a dense window.
            const bool replace = is_first || value > out[c] || value != value;
            out[c] = is_max_ ? (replace ? value : out[c]) : out[c] + value;
        }
    }

    // The pixels of the window that are not in any slot are 0 and take part in its maximum.
    SPARSE_QONNX_INLINE void Finish(int64_t count, int64_t channels, T* out) const {
        for (int64_t c = 0; c < channels; ++c) {
            if (!is_max_) {
                out[c] /= static_cast<T>(divisor_);
            } else if (count < area_ && out[c] < 0) {
                out[c] = 0;
            }
        }
    }

    bool is_max_ = false;
    Image kernel_{}, image_{}, cells_{};
    int64_t area_ = 1;
    int64_t divisor_ = 1;
};

SPARSE_QONNX_KERNEL(SparsePool);

}  // namespace
}  // namespace sparse_qonnx
