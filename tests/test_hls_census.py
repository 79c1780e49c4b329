"""The instrument that counts hardware: designs small enough to count by hand, and every kernel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import ModelProto
from rich.console import Console

from recorded import layer, recorded, recorder
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.hls import to_hls
from sparse_qonnx.passes import finalize
from sparse_qonnx.rtl.count import cycles, instances
from sparse_qonnx.rtl.reader import read_netlist

Counted = dict[tuple[str, int, int], int]
GIVEN = {"x": ("ap_int<8>", 8), "b": ("ap_uint<1>", 1), "n": ("ap_uint<2>", 1), "i": ("ap_uint<3>", 1)}
GIVEN |= {"u": ("ap_uint<8>", 1), "v": ("ap_uint<6>", 2)}

STATEMENTS: dict[str, tuple[str, Counted]] = {
    "sum": ("y[0] = x[0] + x[1];", {("add", 9, 1): 1}),
    "sum with 0": ("y[0] = x[0] + 0;", {}),
    "sum with a literal": ("y[0] = x[0] + 3;", {("add", 9, 1): 1}),
    "sum of constants": ("y[0] = ap_int<8>(3) + 4;", {}),
    "difference": ("y[0] = x[0] - x[1];", {("add", 9, 1): 1}),
    "negation": ("y[0] = -x[0];", {("add", 9, 1): 1}),
    "product": ("y[0] = x[0] * x[1];", {("multiply", 8, 8): 1}),
    "by 0, 1, 4": ("y[0] = x[0] * 0 + x[1] * 1 + x[2] * 4;", {("add", 11, 1): 1}),
    "by 10 = 101 with a 0 behind": ("y[0] = x[0] * 10;", {("multiply_constant", 8, 3): 1}),
    "by -2": ("y[0] = x[0] * -2;", {("add", 9, 1): 1}),
    "by one bit": ("y[0] = b[0] * x[0];", {("select", 8, 1): 1}),
    "less": ("y[0] = select<ap_int<2> >(x[0] < x[1], 1, 0);", {("compare", 8, 1): 1}),
    "sign": ("y[0] = select<ap_int<2> >(x[0] < 0, 1, 0); y[1] = select<ap_int<2> >(x[0] >= 0, 1, 0);", {}),
    "never": ("y[0] = select<ap_int<8> >(x[0] > 200, x[1], 3); y[1] = select<ap_int<8> >(x[0] == 128, x[1], 3);", {}),
    "equal": (
        "y[0] = select<ap_int<2> >(x[0] == 5 && x[1] != x[2], 1, 0);",
        {("compare", 8, 1): 2, ("logic", 1, 1): 1},
    ),
    "select": ("y[0] = select(x[0] < 0, x[1], x[2]);", {("select", 8, 1): 2}),
    "select or 0": ("y[0] = select<ap_int<8> >(x[0] < 0, x[1], 0);", {("select", 8, 1): 1}),
    "shift by a constant": ("y[0] = (x[0] >> 3) << 2;", {}),
    "barrel shifter": ("y[0] = x[0] >> n[0];", {("select", 8, 1): 4}),
    "pick": ("y[0] = pick<5>(x, i[0]);", {("select", 8, 1): 5}),
    "pick at a constant": ("y[0] = pick<5>(x, 2);", {}),
    "rom": ("static const ap_uint<4> t[5] = {1, 2, 3, 9, 0}; y[0] = pick<5>(t, i[0]);", {("rom", 4, 1): 5}),
    "divide by 4": ("y[0] = u[0] / 4;", {}),
    "divide by 3": ("y[0] = u[0] / 3;", {("multiply_constant", 8, 9): 1}),
    "remainder by 3": (
        "y[0] = u[0] % 3;",
        {("multiply_constant", 8, 9): 1, ("multiply_constant", 8, 2): 1, ("add", 8, 1): 1},
    ),
    "gates": ("y[0] = (v[0] & v[1]) & 7;", {("logic", 6, 1): 1}),
    "loop": (
        "for (unsigned k = 0; k < 5; k++) { SPARSE_QONNX_LOOP(k, 5, 1)"
        "put<5>(y, varying<5>(k), x[0] * x[1] + pick<5>(x, varying<5>(k))); }",
        {
            ("multiply", 8, 8): 1,
            ("add", 16, 1): 1,
            ("select", 8, 1): 5,
            ("compare", 3, 1): 5,
            ("register", 20, 1): 5,
            ("register", 3, 1): 1,
        },
    ),
    "accumulator of a loop": (
        "ap_int<11> sum = 0; SPARSE_QONNX_REGISTERS(&sum, 1)"
        "for (unsigned k = 0; k < 8; k++) { SPARSE_QONNX_LOOP(k, 8, 1) sum += x[0]; } y[0] = sum;",
        {("add", 12, 1): 1, ("register", 11, 1): 1},
    ),
    "a register with an enable": (
        "ap_int<8> held = 0; SPARSE_QONNX_REGISTERS(&held, 1)"
        "for (unsigned k = 0; k < 8; k++) { SPARSE_QONNX_LOOP(k, 8, 1)"
        "load(held, pick<8>(x, varying<8>(k)), varying<8>(k) > held); } y[0] = held;",
        {("select", 8, 1): 8, ("compare", 8, 1): 1, ("register", 8, 1): 1, ("register", 3, 1): 1},
    ),
    "loop in an unrolled loop: twice the hardware": (
        "for (unsigned h = 0; h < 2; h++) { ap_int<20> kept = 0; SPARSE_QONNX_REGISTERS(&kept, 1)"
        "for (unsigned k = 0; k < 3; k++) { SPARSE_QONNX_LOOP(k, 3, 2) kept = x[h] * x[h + 2]; } y[h] = kept; }",
        {("multiply", 8, 8): 2, ("register", 20, 1): 2},
    ),
}


def test_statements_counted_by_hand(tmp_path: Path) -> None:
    layers = [
        layer(str(n), GIVEN, {f"y{n}": ("ap_int<20>", 5)}, f"ap_int<20>* y = y{n}; {_zeros(code)} {code}")
        for n, (code, _) in enumerate(STATEMENTS.values())
    ]
    netlist = read_netlist(recorded(recorder(tmp_path, layers, ["common/select.h"])).splitlines())
    found = [dict(instances(layer)) for layer in netlist.layers]
    assert dict(zip(STATEMENTS, found, strict=True)) == {name: wanted for name, (_, wanted) in STATEMENTS.items()}
    assert [cycles(layer) for layer in netlist.layers][-4:] == [5, 8, 8, 12]


def _zeros(code: str) -> str:
    """What a statement does not write."""
    return "" if "put<5>" in code else "for (unsigned k = 0; k < 5; k++) y[k] = 0;"


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
        for row in census.layers:
            assert (row.cycles > 1) == (row.interval > 1), row
            assert row.cycles <= max(row.interval, row.cycles and 1) <= row.cycles + 12, row
        assert census.interval == max(layer.interval for layer in census.layers) <= census.latency


def test_counts_do_not_depend_on_who_counts(small_model: Path, tmp_path: Path) -> None:
    project = to_hls(small_model, tmp_path / "firmware")
    assert project.census() == project.census()
    assert all(row["headline_bits"] >= 0 for row in project.census().rows)
