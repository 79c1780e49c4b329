// What a fused node does to its result before anybody sees it: Relu, then one quantizer. The loops are those of the
// operators themselves, so that fusing changes no value.
#ifndef SPARSE_QONNX_EPILOGUE_H_
#define SPARSE_QONNX_EPILOGUE_H_

#include <algorithm>
#include <optional>
#include <string>

#include "arena.h"
#include "fixed_point_table.h"
#include "quant_loops.h"
#include "slots.h"

namespace sparse_qonnx {

// Attributes: `relu`; `quantizer`, the name of an operator, with that operator's own attributes beside it. The three
// inputs from `first_parameter` on are the quantizer's parameters, all constants: numbers or one a channel, and for
// FixedPointQuant with `by_pixel`, maps [H, W, C].
template <typename T>
class Epilogue {
  public:
    Epilogue() = default;

    Epilogue(const KernelInfo& info, size_t first_parameter) : relu_(info.Int("relu", 0) != 0) {
        const std::string quantizer = info.String("quantizer", "none");
        if (quantizer == "none") return;
        Tensor parameters[3];
        for (size_t i = 0; i < 3; ++i) {
            const auto constant = info.Constant(first_parameter + i);
            if (!constant || constant->type != ElementType<T>::value) {
                Fail("input ", first_parameter + i, " must be a constant of the features' type");
            }
            parameters[i] = *constant;
        }
        if (quantizer == "FixedPointQuant") {
            fixed_point_.emplace(info, parameters);
        } else if (quantizer == "Quant") {
            uniform_.emplace(info, parameters);
        } else {
            Fail("quantizer is '", quantizer, "'; allowed are none, Quant, FixedPointQuant");
        }
    }

    bool IsEmpty() const { return !relu_ && !IsQuantizer(); }

    // Throws unless the parameters fit `channels`.
    void Check(int64_t channels) const {
        if (fixed_point_) fixed_point_->Check(channels);
    }

    // Where a kernel writes `count` values that Apply shall bring to their place.
    T* Scratch(Arena& arena, int64_t count) const { return arena.Take<T>(static_cast<size_t>(count)); }

    // `values` [rows][channels] of one event, overwritten; the result goes to `out`. Without coordinates, `coords` is
    // null.
    SPARSE_QONNX_INLINE void Apply(int64_t event, T* values, int64_t rows, int64_t channels, const int64_t* coords,
                                   T* out) const {
        const int64_t count = rows * channels;
        if (relu_) {
            T* target = IsQuantizer() ? values : out;
            // NaN stays, as in onnxruntime's own Relu.
            for (int64_t i = 0; i < count; ++i) target[i] = values[i] < 0 ? T(0) : values[i];
        }
        if (uniform_) {
            uniform_->attributes.loops.uniform(values, out, count, uniform_->scale, uniform_->zero, uniform_->limits);
        } else if (fixed_point_) {
            fixed_point_->Apply(event, values, rows, channels, coords, out);
        }
    }

  private:
    bool IsQuantizer() const { return uniform_ || fixed_point_; }

    struct Uniform {
        Uniform(const KernelInfo& info, const Tensor* parameters) : attributes(info) {
            for (int i = 0; i < 3; ++i) {
                if (parameters[i].shape.size() != 1) Fail("a fused Quant has one scale, zero point and bit width");
            }
            scale = *parameters[0].template as<T>();
            zero = *parameters[1].template as<T>();
            limits = attributes.LimitsOf(*parameters[2].template as<T>());
        }

        QuantAttributes<T> attributes;
        T scale, zero;
        Limits<T> limits;
    };

    struct Fixed {
        Fixed(const KernelInfo& info, const Tensor* parameters)
            : overflow(ModeFromName<Overflow>("overflow_mode", info.String("overflow_mode"), kOverflowNames)),
              loops(FixedPoint<T>::Choose(
                  ModeFromName<Rounding>("rounding_mode", info.String("rounding_mode"), kRoundingNames), overflow)),
              table(parameters[0], parameters[1], parameters[2], overflow, info.Int("by_pixel", 0) != 0) {}

        void Check(int64_t channels) const {
            if (table.by_pixel) {
                table.Map(channels);
            } else if (table.shape.size() != 1 && !IsRow(channels)) {
                Fail("parameters of the shape ", table.shape, " are not one for each of ", channels, " channels");
            }
        }

        bool IsRow(int64_t channels) const {
            return table.shape.size() == channels && table.shape[table.shape.rank() - 1] == channels;
        }

        void Apply(int64_t event, const T* values, int64_t rows, int64_t channels, const int64_t* coords,
                   T* out) const {
            if (table.by_pixel) {
                const PixelMap<T> map = table.Map(channels);
                const int64_t outside = loops.pixels(values, out, coords, rows, channels, map);
                if (outside < 0) return;
                const Image image{static_cast<int64_t>(map.rows), static_cast<int64_t>(map.columns)};
                image.FailOutside(event, outside, coords[2 * outside], coords[2 * outside + 1]);
            }
            // Rows follow each other, and the table repeats itself: both are one row.
            const int64_t count = rows * channels, single = table.shape.size() == 1;
            const int64_t run = single ? std::max<int64_t>(count, 1) : table.period;
            for (int64_t i = 0; i < count; i += run) {
                loops.row(values + i, out + i, std::min(run, count - i), table.fields.data(), table.pitch, !single);
            }
        }

        Overflow overflow;
        typename FixedPoint<T>::Loops loops;
        QuantTable<T> table;
    };

    bool relu_ = false;
    std::optional<Uniform> uniform_;
    std::optional<Fixed> fixed_point_;
};

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_EPILOGUE_H_
