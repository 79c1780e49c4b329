"""The instrument that counts hardware: designs small enough to count by hand, and every kernel."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto
from rich.console import Console

from sparse_qonnx import _paths
from sparse_qonnx.errors import ToolError
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.headers import find_compiler
from sparse_qonnx.passes import finalize

BACKEND = _paths.hls_backend()
FLAGS = ("-std=c++11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-DSPARSE_QONNX_CENSUS")

Counted = dict[tuple[str, int, int], int]


def count(folder: Path, statements: list[str]) -> list[Counted]:
    """Operations of some statements each, by kind and widths."""
    source, program = folder / "counted.cpp", folder / "counted"
    scopes = (f'{{ const census::layer_scope layer("{n}");\n{code}\n}}' for n, code in enumerate(statements))
    text = """#include "common/select.h"
using namespace sparse_qonnx;
template <class T> struct any { T value[8]; any() { for (auto& v : value) v.set_any(); } };
int main() {
"""
    source.write_text(text + "\n".join(scopes) + "\n}\n")
    folders = ["-I", str(BACKEND / "sim" / "census"), "-I", str(BACKEND / "kernels")]
    command = [find_compiler(), *FLAGS, *folders, "-o", str(program), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]
    done = subprocess.run([str(program)], capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolError("census", done.stderr.strip())
    counted: list[Counted] = [{} for _ in statements]
    for word, layer, *rest in map(str.split, done.stdout.splitlines()):
        if word == "operation":
            kind, a, b, n = rest
            counted[int(layer)][kind, int(a), int(b)] = int(n)
    return counted


X = "const any<ap_int<8> > held; const ap_int<8>* x = held.value; (void)x;"

STATEMENTS = {
    "sum": (f"{X} auto y = x[0] + x[1]; (void)y;", {("add", 9, 1): 1}),
    "sum with 0": (f"{X} auto y = x[0] + 0; (void)y;", {}),
    "sum with a literal": (f"{X} auto y = x[0] + 3; (void)y;", {("add", 9, 1): 1}),
    "sum of constants": ("ap_int<8> y = ap_int<8>(3) + 4; (void)y;", {}),
    "difference": (f"{X} auto y = x[0] - x[1]; (void)y;", {("add", 9, 1): 1}),
    "negation": (f"{X} auto y = -x[0]; (void)y;", {("add", 9, 1): 1}),
    "product": (f"{X} auto y = x[0] * x[1]; (void)y;", {("multiply", 8, 8): 1}),
    "by 0, 1, 4": (f"{X} auto y = x[0] * 0 + x[1] * 1 + x[2] * 4; (void)y;", {("add", 11, 1): 1}),
    "by 10 = 101 with a 0 behind": (f"{X} auto y = x[0] * 10; (void)y;", {("multiply_constant", 8, 3): 1}),
    "by -2": (f"{X} auto y = x[0] * -2; (void)y;", {("add", 9, 1): 1}),
    "by one bit": (
        "const any<ap_uint<1> > b; const any<ap_int<8> > h; auto y = b.value[0] * h.value[0]; (void)y;",
        {("select", 8, 1): 1},
    ),
    "less": (f"{X} auto y = x[0] < x[1]; (void)y;", {("compare", 8, 1): 1}),
    "sign": (f"{X} auto y = x[0] < 0; auto z = x[0] >= 0; (void)y; (void)z;", {}),
    "never": (f"{X} auto y = x[0] > 200; auto z = x[0] == 128; (void)y; (void)z;", {}),
    "equal": (f"{X} auto y = x[0] == 5 && x[1] != x[2]; (void)y;", {("compare", 8, 1): 2, ("logic", 1, 1): 1}),
    "select": (f"{X} auto y = select(x[0] < 0, x[1], x[2]); (void)y;", {("select", 8, 1): 2}),
    "select or 0": (f"{X} auto y = select<ap_int<8> >(x[0] < 0, x[1], 0); (void)y;", {("select", 8, 1): 1}),
    "shift by a constant": (f"{X} auto y = (x[0] >> 3) << 2; (void)y;", {}),
    "barrel shifter": (
        "const any<ap_int<8> > h; const any<ap_uint<2> > n; auto y = h.value[0] >> n.value[0]; (void)y;",
        {("select", 8, 1): 4},
    ),
    "pick": (f"{X} const any<ap_uint<3> > i; auto y = pick<5>(x, i.value[0]); (void)y;", {("select", 8, 1): 5}),
    "pick at a constant": (f"{X} auto y = pick<5>(x, 2); (void)y;", {}),
    "rom": (
        "const any<ap_uint<3> > i; static const ap_uint<4> t[5] = {1, 2, 3, 9, 0}; auto y = pick<5>(t, i.value[0]);"
        "(void)y;",
        {("rom", 4, 1): 5},
    ),
    "divide by 4": ("const any<ap_uint<8> > h; auto y = h.value[0] / 4; (void)y;", {}),
    "divide by 3": ("const any<ap_uint<8> > h; auto y = h.value[0] / 3; (void)y;", {("multiply_constant", 8, 9): 1}),
    "gates": (
        "const any<ap_uint<6> > h; auto y = (h.value[0] & h.value[1]) & 7; (void)y;",
        {("logic", 6, 1): 1},
    ),
    "registers": ("ap_fixed<9, 4> state[3]; SPARSE_QONNX_REGISTERS(state, 3)", {("register", 9, 1): 3}),
    "loop": (
        f"{X} for (unsigned i = 0; i < 5; i++) {{ SPARSE_QONNX_LOOP(i, 5, 1)"
        "auto y = x[0] * x[1] + pick<5>(x, varying<5>(i)); (void)y; }",
        {("multiply", 8, 8): 1, ("add", 16, 1): 1, ("select", 8, 1): 5},
    ),
    "loop with three products at interval 2: two multipliers": (
        f"{X} for (unsigned i = 0; i < 5; i++) {{ SPARSE_QONNX_LOOP(i, 5, 2)"
        "auto y = x[0] * x[1]; auto z = x[0] * x[2]; auto a = x[0] * x[3]; (void)y; (void)z; (void)a; }",
        {("multiply", 8, 8): 2, ("select", 16, 1): 3},
    ),
    "accumulator of a loop": (
        f"{X} ap_int<11> sum = 0; for (unsigned i = 0; i < 8; i++) {{ SPARSE_QONNX_LOOP(i, 8, 1) sum += x[0]; }}",
        {("add", 11, 1): 1},
    ),
    "put": (
        f"{X} ap_int<8> y[4]; for (unsigned i = 0; i < 4; i++) {{ SPARSE_QONNX_LOOP(i, 4, 1)"
        "put<4>(y, varying<4>(i), x[0]); }",
        {("compare", 2, 1): 4},
    ),
    "loop in an unrolled loop: twice the hardware": (
        f"{X} for (unsigned u = 0; u < 2; u++) for (unsigned i = 0; i < 3; i++) {{ SPARSE_QONNX_LOOP(i, 3, 1)"
        "auto y = x[0] * x[1]; (void)y; }",
        {("multiply", 8, 8): 2},
    ),
}


def test_statements_counted_by_hand(tmp_path: Path) -> None:
    found = count(tmp_path, [code for code, _ in STATEMENTS.values()])
    assert dict(zip(STATEMENTS, found, strict=True)) == {name: wanted for name, (_, wanted) in STATEMENTS.items()}


@pytest.mark.parametrize(
    "code",
    [
        f"{X} if (x[0] < x[1]) return 1;",
        f"{X} static const int table[4] = {{1, 2, 3, 4}}; return table[unsigned(x[0])];",
        f"{X} return x[0].to_int();",
        f"{X} auto y = x[0] / x[1]; (void)y;",
    ],
)
def test_a_kernel_that_needs_the_value_of_data_is_refused(code: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="layer 0: "):
        count(tmp_path, [code])


# ---- projects --------------------------------------------------------------------------------------------------------


def dense(weights: list[list[float]], biases: list[float]) -> ModelProto:
    g = GraphBuilder("dense")
    w = g.quantized_constant("d.kernel", np.array(weights, np.float32))
    (x,) = g.node("MatMul", [g.input("x", [len(weights)]), w], ["d.matmul"])
    (x,) = g.node("Add", [x, g.quantized_constant("d.bias", np.array(biases, np.float32))], ["d"])
    g.output(x)
    return finalize(g.build(), "ap_fixed<6,6>")


def test_dense_3_by_2(tmp_path: Path) -> None:
    """[[3, 1], [0, -5], [2, 7]] and a bias of (0, 4): products by 3, 5 and 7; two sums, and the bias."""
    census = to_hls(dense([[3, 1], [0, -5], [2, 7]], [0, 4]), tmp_path / "firmware").census()
    (layer,) = census.layers
    counts = layer.operations.counts
    products = {k[1:]: n for k, n in counts.items() if k[0] == "multiply_constant"}
    assert products == {(6, 2): 1, (6, 3): 2} and layer.operations.bits("multiply_constant") == 6 * 2 + 2 * 6 * 3
    assert layer.operations.instances("add") == 1 + 3
    assert {kind for kind, _, _ in counts} == {"multiply_constant", "add"}
    bits = {t.identifier: t.size * t.type.width for t in to_hls(dense([[1]], [0]), tmp_path / "one").graph.outputs}
    assert bits == {"d": 6} and layer.operations.buffer_bits == 2 * 10  # -32 * (1 + 5 + 7) + 4 needs 10 bits


def test_rows_for_people_and_programs(tmp_path: Path) -> None:
    census = to_hls(dense([[3], [5]], [1]), tmp_path / "firmware").census()
    rows = census.rows
    assert [r["layer"] for r in rows] == ["d", "total"] and rows[-1]["constant_multiplications"] == 2
    assert rows[-1]["headline_bits"] == census.headline_bits == 6 * 2 + 6 * 3
    assert len({tuple(r) for r in rows}) == 1, "every row has the same columns"
    assert census.to_dict()["operations"]["d"][-1]["kind"] == "multiply_constant"
    assert census.table.row_count == 2
    console = Console(width=80, record=True)
    console.print(census.table)
    assert "…" not in console.export_text()


def test_the_schedule_is_what_the_loops_ask_for(small_model: Path, tmp_path: Path) -> None:
    """Trip counts come from the kernels' own loops here, and from the configuration in the schedule: they agree."""
    for design in ("balanced", "published"):
        census = to_hls(small_model, tmp_path / design, config={"design": design}).census()
        for layer in census.layers:
            assert (layer.cycles > 1) == (layer.interval > 1), layer
            assert layer.cycles <= max(layer.interval, layer.cycles and 1) <= layer.cycles + 12, layer
        assert census.interval == max(layer.interval for layer in census.layers) <= census.latency


def test_counts_do_not_depend_on_who_counts(small_model: Path, tmp_path: Path) -> None:
    project = to_hls(small_model, tmp_path / "firmware")
    assert project.census() == project.census()
    assert all(row["headline_bits"] >= 0 for row in project.census().rows)
