// Neighbours of pixels by looking at the places themselves: one bit for each place in the box around all pixels.
//
// The bits under a kernel row are one unaligned load, and those of several rows fit one word, so that a pixel with few
// neighbours costs a handful of operations however many other pixels there are. Which source lies at a place is in a
// second table that is only read where a bit is set, and therefore never has to be cleared.
#ifndef SPARSE_QONNX_PIXEL_GRID_H_
#define SPARSE_QONNX_PIXEL_GRID_H_

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "arena.h"
#include "isa.h"
#include "neighbours.h"

namespace sparse_qonnx {

class PixelGrid {
  public:
    PixelGrid(const Window& window, Arena& arena, int64_t slots)
        : window_(window),
          arena_(arena),
          span_((window.width - 1) * window.column_dilation + 1),
          rows_per_word_(span_ <= kSpan ? 64 / span_ : 0),
          words_(rows_per_word_ == 0 ? 0 : (window.height + rows_per_word_ - 1) / rows_per_word_) {
        usable_ = rows_per_word_ > 0 && words_ <= kWords && slots < kMaxPixels;
        if (!usable_) return;
        taps_ = arena.Take<int32_t>(static_cast<size_t>(64 * words_));
        offsets_ = arena.Take<int32_t>(static_cast<size_t>(64 * words_));
        for (int64_t x = 0; x < window.width; ++x) columns_mask_ |= uint64_t{1} << (x * window.column_dilation);
    }

    // False where the box around the pixels is too large to be worth it, or the kernel too wide.
    SPARSE_QONNX_INLINE bool Enter(const Pixel* targets, int64_t target_count, const Pixel* sources,
                                   int64_t source_count) {
        if (!usable_ || !FindBox(targets, target_count)) return false;
        for (int64_t s = 0; s < source_count; ++s) {
            const int64_t row = sources[s].row - first_row_, column = sources[s].column - first_column_;
            const int64_t bit = column + window_.Left();
            bits_[(row + window_.Top()) * pitch_ + bit / 8] |= static_cast<unsigned char>(1 << (bit % 8));
            index_[(row << shift_) + column] = static_cast<uint16_t>(sources[s].slot);
        }
        return true;
    }

    // Takes the bits out again.
    SPARSE_QONNX_INLINE void Leave(const Pixel* sources, int64_t source_count) {
        for (int64_t s = 0; s < source_count; ++s) {
            const int64_t bit = sources[s].column - first_column_ + window_.Left();
            bits_[(sources[s].row - first_row_ + window_.Top()) * pitch_ + bit / 8] = 0;
        }
    }

    // Writes the hits of one target, at most `window.Taps()` of them, and returns how many there are.
    SPARSE_QONNX_INLINE int64_t Find(const Pixel& target, Hit* hits) const {
        const int64_t row = target.row - first_row_, column = target.column - first_column_;
        const unsigned char* bits = bits_ + row * pitch_ + column / 8;
        const int64_t skipped = column % 8, row_step = window_.row_dilation * pitch_;
        const int64_t place = (row << shift_) + column;
        int64_t found = 0;
        for (int64_t word = 0, y = 0; word < words_; ++word) {
            uint64_t set = 0;
            const int64_t rows = std::min(rows_per_word_, window_.height - y);
            for (int64_t r = 0; r < rows; ++r, ++y) {
                uint64_t loaded;
                std::memcpy(&loaded, bits + y * row_step, sizeof(loaded));
                set |= ((loaded >> skipped) & columns_mask_) << (r * span_);
            }
            for (; set != 0; set &= set - 1) {
                const int64_t bit = 64 * word + __builtin_ctzll(set);
                hits[found++] = {index_[place + offsets_[bit]], taps_[bit]};
            }
        }
        return found;
    }

  private:
    static constexpr int64_t kSpan = 57;                     // bits that one unaligned load is sure to hold
    static constexpr int64_t kWords = 64;                    // of a kernel; higher ones are searched for row by row
    static constexpr int64_t kMaxPixels = 1 << 16;           // the table of sources holds 16-bit numbers
    static constexpr int64_t kMaxPlaces = int64_t{1} << 18;  // half a megabyte: stays in cache

    SPARSE_QONNX_INLINE bool FindBox(const Pixel* pixels, int64_t count) {
        if (count == 0) return false;
        Pixel low = pixels[0], high = pixels[0];
        for (int64_t i = 1; i < count; ++i) {
            low = {std::min(low.row, pixels[i].row), std::min(low.column, pixels[i].column), 0};
            high = {std::max(high.row, pixels[i].row), std::max(high.column, pixels[i].column), 0};
        }
        const uint64_t rows = static_cast<uint64_t>(Minus(high.row, low.row)) + 1;
        const uint64_t columns = static_cast<uint64_t>(Minus(high.column, low.column)) + 1;
        constexpr auto kMost = static_cast<uint64_t>(kMaxPlaces);
        if (rows - 1 >= kMost || columns - 1 >= kMost || rows * columns > kMost) return false;
        first_row_ = low.row;
        first_column_ = low.column;
        return Reserve(static_cast<int64_t>(rows), static_cast<int64_t>(columns));
    }

    // Tables for a box; they grow with the largest box seen.
    bool Reserve(int64_t rows, int64_t columns) {
        int64_t shift = std::max<int64_t>(shift_, 4);
        while ((int64_t{1} << shift) < columns) ++shift;
        const int64_t pitch = std::max((columns + span_) / 8 + 8, pitch_);
        const int64_t height = rows + (window_.height - 1) * window_.row_dilation;
        if ((rows << shift) > 2 * kMaxPlaces || height > kMaxPlaces / pitch) return false;
        if (pitch != pitch_ || height * pitch > capacity_) {
            pitch_ = pitch;
            capacity_ = height * pitch * 2;
            bits_ = arena_.Take<unsigned char>(static_cast<size_t>(capacity_));
            std::memset(bits_, 0, static_cast<size_t>(capacity_));
        }
        if (shift != shift_ || (rows << shift) > places_) {
            shift_ = shift;
            places_ = (rows << shift) * 2;
            index_ = arena_.Take<uint16_t>(static_cast<size_t>(places_));
            SetOffsets();
        }
        return true;
    }

    // For each bit of a word: the tap it belongs to, and how far its place is from the target's.
    void SetOffsets() {
        for (int64_t y = 0; y < window_.height; ++y) {
            for (int64_t x = 0; x < window_.width; ++x) {
                const int64_t column = x * window_.column_dilation;
                const int64_t bit = 64 * (y / rows_per_word_) + y % rows_per_word_ * span_ + column;
                taps_[bit] = static_cast<int32_t>(y * window_.width + x);
                offsets_[bit] = static_cast<int32_t>(((y * window_.row_dilation - window_.Top()) * (1 << shift_)) +
                                                     column - window_.Left());
            }
        }
    }

    Window window_;
    Arena& arena_;
    int64_t span_, rows_per_word_, words_;
    bool usable_ = false;
    uint64_t columns_mask_ = 0;
    int32_t *taps_ = nullptr, *offsets_ = nullptr;
    unsigned char* bits_ = nullptr;
    uint16_t* index_ = nullptr;
    int64_t pitch_ = 0, capacity_ = 0, shift_ = 0, places_ = 0;
    int64_t first_row_ = 0, first_column_ = 0;
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_PIXEL_GRID_H_
