// Every loop of FixedPointQuant, chosen by its modes.
#include "fixed_point.h"

namespace sparse_qonnx {
namespace {

template <Rounding kRounding, typename T>
typename FixedPoint<T>::Loops ChooseOverflow(Overflow overflow) {
    using F = FixedPoint<T>;
    switch (overflow) {
        case Overflow::kWrap:
            return {&F::template Row<kRounding, Overflow::kWrap>, &F::template Pixels<kRounding, Overflow::kWrap>};
        case Overflow::kSat:
        case Overflow::kSatSym:  // the same loop, other limits
            return {&F::template Row<kRounding, Overflow::kSat>, &F::template Pixels<kRounding, Overflow::kSat>};
        default:
            return {&F::template Row<kRounding, Overflow::kWrapSm>, &F::template Pixels<kRounding, Overflow::kWrapSm>};
    }
}

}  // namespace

template <typename T>
typename FixedPoint<T>::Loops FixedPoint<T>::Choose(Rounding rounding, Overflow overflow) {
    switch (rounding) {
        case Rounding::kTrn:
            return ChooseOverflow<Rounding::kTrn, T>(overflow);
        case Rounding::kTrnZero:
            return ChooseOverflow<Rounding::kTrnZero, T>(overflow);
        case Rounding::kRnd:
            return ChooseOverflow<Rounding::kRnd, T>(overflow);
        case Rounding::kRndZero:
            return ChooseOverflow<Rounding::kRndZero, T>(overflow);
        case Rounding::kRndMinInf:
            return ChooseOverflow<Rounding::kRndMinInf, T>(overflow);
        case Rounding::kRndInf:
            return ChooseOverflow<Rounding::kRndInf, T>(overflow);
        default:
            return ChooseOverflow<Rounding::kRndConv, T>(overflow);
    }
}

template FixedPoint<float>::Loops FixedPoint<float>::Choose(Rounding, Overflow);
template FixedPoint<double>::Loops FixedPoint<double>::Choose(Rounding, Overflow);

}  // namespace sparse_qonnx
