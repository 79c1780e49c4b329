#!/usr/bin/env bash
# Builds the kernels with AddressSanitizer and UndefinedBehaviorSanitizer and runs their tests on that library.
# Usage: custom_ops/sanitize.sh [build folder] [pytest arguments]; PYTHON and CXX choose the interpreter and the compiler.
#        custom_ops/sanitize.sh threads [build folder] [rounds]: runs every kernel from eight threads, with ThreadSanitizer.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = threads ]; then
    build=${2:-build/threads}
    cmake -S custom_ops -B "$build" -DSPARSE_QONNX_THREADS=ON
    cmake --build "$build" -j2
    # Without random addresses: where the kernel draws them from more than 28 bits, ThreadSanitizer cannot start.
    TSAN_OPTIONS=halt_on_error=1 setarch -R "$build/sparse_qonnx_ops" "${3:-20}"
    exit
fi
build=${1:-build/sanitize}
shift || true

cmake -S custom_ops -B "$build" -DSPARSE_QONNX_SANITIZE=ON
cmake --build "$build" -j2

# The sanitizers' run time has to be there before Python; exceptions pass through the C++ library, which Python itself
# does not load. Leaks are not looked for: Python frees little of its own at exit. Reports go past pytest (--capture=sys),
# since the process ends with the first one.
compiler=${CXX:-g++}
LD_PRELOAD="$("$compiler" -print-file-name=libasan.so) $("$compiler" -print-file-name=libstdc++.so)" \
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
    SPARSE_QONNX_LIBRARY="$(realpath "$build")/libsparse_qonnx_ops.so" \
    "${PYTHON:-python}" -m pytest --capture=sys tests/test_native_kernels.py tests/test_native_safety.py \
    tests/test_native_fusion.py "$@"
