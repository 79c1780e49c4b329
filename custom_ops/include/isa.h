// One binary for every x86-64 and aarch64: hot loops are compiled for the baseline and again for AVX2, and the
// processor decides which one runs.
//
// The loops are ordinary C++ templates, so the usual attribute for several versions of one function does not apply.
// Instead a loop is handed over as an object whose call operator is always inlined; inside `RunAvx2` the compiler
// inlines it, and everything below it, into a function it may use AVX2 in. Nothing that is compiled for AVX2 has a name
// shared with baseline code, so the linker cannot mix the two up.
#ifndef SPARSE_QONNX_ISA_H_
#define SPARSE_QONNX_ISA_H_

// Marks what has to be inlined into the loop that is compiled twice.
#define SPARSE_QONNX_INLINE inline __attribute__((always_inline))
// Same for a lambda: `[&](int64_t i) SPARSE_QONNX_INLINE_LAMBDA { ... }`
#define SPARSE_QONNX_INLINE_LAMBDA __attribute__((always_inline))

namespace sparse_qonnx {

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

// False when the environment variable SPARSE_QONNX_BASELINE is set: to test the code that older processors run.
bool UseAvx2();

template <typename Loop>
__attribute__((target("avx2"), noinline)) void RunAvx2(Loop& loop) {
    loop();
}

template <typename Loop>
__attribute__((noinline)) void RunBaseline(Loop& loop) {
    loop();
}

// Runs `loop`, an object with an always inlined call operator, in the best version for this processor.
template <typename Loop>
void RunBest(Loop&& loop) {
    if (UseAvx2()) {
        RunAvx2(loop);
    } else {
        RunBaseline(loop);
    }
}

#else

template <typename Loop>
void RunBest(Loop&& loop) {
    loop();
}

#endif

}  // namespace sparse_qonnx

#endif  // SPARSE_QONNX_ISA_H_
