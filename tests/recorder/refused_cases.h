// What is no hardware, or not said to be: each is refused with a message. x [8] -> y [1].

#include "common/blocks.h"
#include "common/select.h"

using namespace sparse_qonnx;
typedef ap_int<8> in_t;
typedef ap_int<20> out_t;

inline void branch_on_data(const in_t* x, out_t* y) {
    if (x[0] < x[1]) y[0] = 1;
}

inline void index_of_data(const in_t* x, out_t* y) {
    static const int table[4] = {1, 2, 3, 4};
    y[0] = table[unsigned(x[0])];
}

inline void division_by_data(const in_t* x, out_t* y) { y[0] = x[0] / x[1]; }

inline void undeclared_state(const in_t* x, out_t* y) {
    ap_int<11> sum = 0;
    for (unsigned i = 0; i < 4; i++) {
        SPARSE_QONNX_LOOP(i, 4, 1)
        sum += x[0];
        y[0] = sum;
    }
}

inline void branch_on_the_counter(const in_t* x, out_t* y) {
    for (unsigned i = 0; i < 4; i++) {
        SPARSE_QONNX_LOOP(i, 4, 1)
        if (i < 3) y[0] = x[0] + x[1];
    }
}

inline void undeclared_result(const in_t* x, out_t* y) {
    out_t result;
    for (unsigned i = 0; i < 4; i++) {
        SPARSE_QONNX_LOOP(i, 4, 1)
        result = x[0] + x[1];
    }
    y[0] = result;
}

inline void counter_of_no_loop(const in_t*, out_t* y) {
    unsigned i = 0;
    y[0] = varying<4>(i);
}

inline void counter_of_another_length(const in_t* x, out_t* y) {
    for (unsigned i = 0; i < 4; i++) {
        SPARSE_QONNX_LOOP(i, 4, 1)
        y[0] = pick<5>(x, varying<5>(i));
    }
}

inline void more_trips(const in_t*, out_t*) {
    for (unsigned i = 0; i < 5; i++) {
        SPARSE_QONNX_LOOP(i, 4, 1)
    }
}

inline void fewer_trips(const in_t*, out_t* y) {
    for (unsigned i = 0; i < 3; i++) {
        SPARSE_QONNX_LOOP(i, 4, 1)
    }
    y[0] = 0;
}

inline void declared_inside(const in_t*, out_t*) {
    for (unsigned i = 0; i < 4; i++) {
        SPARSE_QONNX_LOOP(i, 4, 1)
        in_t state = 0;
        SPARSE_QONNX_REGISTERS(&state, 1)
    }
}

inline void changed_beside_an_inner_loop(const in_t* x, out_t*) {
    in_t state = 0;
    SPARSE_QONNX_REGISTERS(&state, 1)
    for (unsigned i = 0; i < 4; i++) {
        SPARSE_QONNX_LOOP(i, 4, 1)
        state = x[0];
        for (unsigned j = 0; j < 2; j++) {
            SPARSE_QONNX_LOOP(j, 2, 1)
            state += 1;
        }
    }
}

inline void changed_behind_an_inner_loop(const in_t* x, out_t*) {
    in_t state = 0;
    SPARSE_QONNX_REGISTERS(&state, 1)
    for (unsigned i = 0; i < 4; i++) {
        SPARSE_QONNX_LOOP(i, 4, 1)
        for (unsigned j = 0; j < 2; j++) {
            SPARSE_QONNX_LOOP(j, 2, 1)
            state += 1;
        }
        state = x[0];
    }
}

inline void read_beside_an_inner_loop(const in_t* x, out_t*) {
    in_t state = 0;
    SPARSE_QONNX_REGISTERS(&state, 1)
    for (unsigned i = 0; i < 4; i++) {
        SPARSE_QONNX_LOOP(i, 4, 1)
        const in_t next = state + x[0];
        for (unsigned j = 0; j < 2; j++) {
            SPARSE_QONNX_LOOP(j, 2, 1)
            state = next;
        }
    }
}

inline void two_inner_loops(const in_t*, out_t*) {
    for (unsigned i = 0; i < 4; i++) {
        SPARSE_QONNX_LOOP(i, 4, 1)
        for (unsigned j = 0; j < 2; j++) {
            SPARSE_QONNX_LOOP(j, 2, 1)
        }
        for (unsigned k = 0; k < 2; k++) {
            SPARSE_QONNX_LOOP(k, 2, 1)
        }
    }
}

inline void never_set(const in_t* x, out_t* y) {
    in_t value;
    y[0] = value + x[0];
}

inline void not_written(const in_t*, out_t*) {}

inline void beside_an_unsigned_number(const in_t* x, out_t* y) { y[0] = select<out_t>(x[0] < 40u, 1, 0); }

inline void too_wide(const in_t* x, out_t* y) {
    const ap_int<120> far = ap_int<120>(x[0]) << 100;
    y[0] = select<out_t>(far * x[1] * x[2] * x[3] > 0, 1, 0);
}

inline void too_many_lines(const in_t* x, out_t* y) {
    y[0] = 0;
    for (unsigned i = 0; i < 1000; i++) y[0] = y[0] + x[i % 8];
}
