// Loops and registers as the kernels write them: x [8] -> y [8]. Each is run by the recorder and with Xilinx's types.

#include "common/blocks.h"
#include "common/select.h"

using namespace sparse_qonnx;
typedef ap_int<8> in_t;
typedef ap_int<20> out_t;

inline void clear(out_t* y) {
    for (unsigned i = 0; i < 8; i++) y[i] = 0;
}

inline void sum(const in_t* x, out_t* y) {
    ap_int<11> sum = 0;
    SPARSE_QONNX_REGISTERS(&sum, 1)
    for (unsigned i = 0; i < 8; i++) {
        SPARSE_QONNX_LOOP(i, 8, 1)
        sum += pick<8>(x, varying<8>(i));
    }
    y[0] = sum;
}

inline void slow(const in_t* x, out_t* y) {
    for (unsigned i = 0; i < 8; i++) {
        SPARSE_QONNX_LOOP(i, 8, 2)
        const ap_uint<3> at = varying<8>(i);
        put<8>(y, at, pick<8>(x, at));
    }
}

inline void nest(const in_t* x, out_t* y) {
    out_t sum = 0;
    SPARSE_QONNX_REGISTERS(&sum, 1)
    for (unsigned row = 0; row < 4; row++) {
        SPARSE_QONNX_LOOP(row, 4, 1)
        for (unsigned column = 0; column < 3; column++) {
            SPARSE_QONNX_LOOP(column, 3, 1)
            const ap_uint<2> u = varying<4>(row), v = varying<3>(column);
            sum = select<out_t>(v == 0, x[0], sum + pick<8>(x, ap_uint<3>(u + v)));
            put<4>(y, u, sum, v == 2);
        }
    }
}

inline void in_a_row(const in_t* x, out_t* y) {
    ap_int<12> sum = x[7], most = x[0];
    SPARSE_QONNX_REGISTERS(&sum, 1)
    for (unsigned first = 0; first < 5; first++) {
        SPARSE_QONNX_LOOP(first, 5, 1)
        sum += pick<5>(x, varying<5>(first));
    }
    SPARSE_QONNX_REGISTERS(&most, 1)
    for (unsigned second = 0; second < 6; second++) {
        SPARSE_QONNX_LOOP(second, 6, 1)
        most = select<ap_int<12> >(most < sum, sum, most);
        sum -= pick<6>(x, varying<6>(second));
    }
    y[0] = sum;
    y[1] = most;
}

inline void in_an_unrolled_one(const in_t* x, out_t* y) {
    for (unsigned half = 0; half < 2; half++) {
        ap_int<12> sum = int(half);
        SPARSE_QONNX_REGISTERS(&sum, 1)
        for (unsigned i = 0; i < 4; i++) {
            SPARSE_QONNX_LOOP(i, 4, 1)
            sum += pick<4>(x, varying<4>(i), 4 * half);
        }
        y[half] = sum;
    }
}

// Loops of one trip dissolve.
inline void one_trip(const in_t* x, out_t* y) {
    for (unsigned i = 0; i < 1; i++) {
        SPARSE_QONNX_LOOP(i, 1, 1)
        for (unsigned j = 0; j < 2; j++) {
            SPARSE_QONNX_LOOP(j, 2, 1)
            for (unsigned k = 0; k < 1; k++) {
                SPARSE_QONNX_LOOP(k, 1, 1)
                put<2>(y, varying<2>(j), pick<1>(x, varying<1>(i)) + pick<2>(x, varying<2>(j)));
            }
        }
    }
}

// A register that no trip changes is what it was before.
inline void unchanged(const in_t* x, out_t* y) {
    in_t kept = x[3];
    SPARSE_QONNX_REGISTERS(&kept, 1)
    for (unsigned i = 0; i < 3; i++) {
        SPARSE_QONNX_LOOP(i, 3, 1)
        put<3>(y, varying<3>(i), kept + x[0]);
    }
}

// Registers that exchange what they hold, and one that is a bit.
inline void exchange(const in_t* x, out_t* y) {
    in_t a = x[0], b = x[1];
    bit_t is_odd = false;
    SPARSE_QONNX_REGISTERS(&a, 1)
    SPARSE_QONNX_REGISTERS(&b, 1)
    SPARSE_QONNX_REGISTERS(&is_odd, 1)
    for (unsigned i = 0; i < 5; i++) {
        SPARSE_QONNX_LOOP(i, 5, 1)
        const in_t before = a;
        load(a, b, a < 100);
        load(b, before, is_odd);
        is_odd = !is_odd;
    }
    y[0] = a;
    y[1] = b;
    y[2] = select<out_t>(is_odd, 1, 0);
}
