"""The number types that record: every operator against Xilinx's own types, loops and registers, and what is refused."""

from __future__ import annotations

import ctypes
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from recorded import BACKEND, HERE, Refused, functions, layer, lines, recorded, recorder
from sparse_qonnx.rtl.interpret import interpret
from sparse_qonnx.rtl.netlist import Op
from sparse_qonnx.rtl.reader import read_netlist
from test_hls_kernels import (
    FORMATS,
    MODES,
    SHIFTS,
    WIDTHS,
    X_FRACTION,
    X_WIDTH,
    call,
    expected,
    library,
    quant_config,
)

# Types with a sign and without one, with a binary point inside of the number, before and behind it.
OPERANDS = {"a": "ap_int<7>", "b": "ap_uint<5>", "c": "ap_fixed<8, 3>", "d": "ap_ufixed<6, 8>", "e": "ap_fixed<5, -1>"}
RESULT = "ap_fixed<60, 40>"
NUMBERS = [
    *(f"{x} {op} {y}" for op in "+-*" for x, y in itertools.product("abcde", repeat=2)),
    *(f"{x} {op} {y}" for op in "&|^" for x, y in itertools.product("ab", repeat=2)),
    *(f"{x} {op} {k}" for op in "+-*&|^" for x in "ab" for k in ("0", "1", "-3", "6u")),
    *(f"{k} {op} {x}" for op in "+-*" for x in "ac" for k in ("0", "1", "-3", "6u")),
    *(f"{x} {op} {k}" for op in ("<<", ">>") for x in "abce" for k in (0, 1, 4, 9)),
    *(f"{x} {op} {y}" for op in ("<<", ">>") for x in "abce" for y in ("i", "s", "(i - ap_int<4>(9))")),
    *(f"{x} / {k}" for x in "ab" for k in ("1", "2", "3", "ap_int<7>(5)")),
    *(f"{x} % {k}" for x in "ab" for k in ("1", "2", "3", "ap_int<7>(5)", "100")),
    *("b / 3u", "b % 4u"),
    *("-a", "-b", "-c", "~a", "~b", "~c"),
    *(f"{kind}({x})" for kind in ("ap_int<4>", "ap_uint<4>") for x in "ab"),
    *(f"{kind}({x})" for kind in ("ap_fixed<5, 2>", "ap_ufixed<3, 5>", "ap_fixed<4, 4>") for x in "abcde"),
    *(f"ap_uint<3>(a) {op} b" for op in "+-*"),
    *(
        "select<ap_int<7> >(a < 0, a, 3)",
        "select<ap_uint<5> >(b[2], b, 7)",
        "to_raw(c)",
        "from_raw<ap_fixed<8, 3> >(a)",
    ),
    *(
        "pick<6>(picked, i)",
        "pick<3, 2>(picked, i, 1)",
        "pick<6>(table, i)",
        "pick<6>(table, a)",
        "pick<6>(picked, 7u)",
    ),
    *("bit_at(a, 3)", "a[6]", "b[0]"),
]
TRUTHS = [
    *(f"{x} {op} {y}" for op in ("<", "==") for x, y in itertools.product("abcde", repeat=2)),
    *(f"{x} {op} {y}" for op in ("<=", ">", ">=", "!=") for x, y in ("aa", "ab", "cd", "eb")),
    *(f"{x} {op} {k}" for op in ("<", ">=", "==") for x in "abc" for k in ("0", "3", "-70")),
    *(f"b {op} {k}" for op in ("<=", ">", "!=") for k in ("5u", "40u")),
    *("a < 0 && b > 3", "a < 0 || b > 3", "!(a < 0)", "!a", "(a < 0) != (b > 3)", "(a < 0) == (b > 3)"),
    *("(a < 0) & (b > 3)", "(a < 0) | (b > 3)", "(a < 0) ^ (b > 3)", "a < 0 && bit_t(true)", "b > 3 || bit_t(false)"),
]


def statements() -> str:
    """A function of all operands that computes everything, for any number types."""
    given = ", ".join(f"const {kind}& {name}" for name, kind in OPERANDS.items())
    body = [f"result[{n}] = {text};" for n, text in enumerate(NUMBERS)]
    body += [f"result[{n}] = select<ap_int<2> >({t}, 1, 0);" for n, t in enumerate(TRUTHS, len(NUMBERS))]
    table = "static const ap_int<5> table[6] = {3, -1, 0, 15, -16, 3};\n"
    table += "const ap_int<7> picked[6] = {a, 2, a - 1, b, -5, a};"
    small = "const ap_uint<4> i = b; const ap_int<3> s = a;"
    return f"void compute({given}, {RESULT}* result) {{\n{small}\n{table}\n" + "\n".join(body) + "\n}\n"


def run(compiled: ctypes.CDLL, x: np.ndarray, size: int) -> np.ndarray:
    """What compiled code makes of each row."""
    found = np.zeros((len(x), size), np.int64)
    for given, result in zip(np.ascontiguousarray(x, np.int64), found, strict=True):
        call(compiled.run, given, result)
    return found


def test_every_operator_is_that_of_xilinx_types(tmp_path: Path) -> None:
    names = [*NUMBERS, *TRUTHS]
    arrays = {name: (kind, 1) for name, kind in OPERANDS.items()}
    body = f"compute({', '.join(f'*{name}' for name in OPERANDS)}, result);"
    layers = [layer("all", arrays, {"result": (RESULT, len(names))}, body)]
    netlist = read_netlist(recorded(recorder(tmp_path, layers, ["common/blocks.h"], statements())).splitlines())
    loads = "".join(f"{kind} {name}; load(x + {n}, &{name}, 1);\n" for n, (name, kind) in enumerate(OPERANDS.items()))
    entry = f"void run(const long long* x, long long* y) {{\n{loads}static {RESULT} result[{len(names)}];\n"
    entry += f"compute({', '.join(OPERANDS)}, result);\nstore(result, y, {len(names)});\n}}"
    compiled = library(tmp_path, ["common/blocks.h"], f'}}\n{statements()}\nextern "C" {{\n{entry}')
    rng, limits = np.random.default_rng(0), ((-64, 64), (0, 32), (-128, 128), (0, 64), (-16, 16))
    columns = np.stack([rng.integers(low, end, 400) for low, end in limits], axis=1)
    columns[0], columns[1], columns[2] = [low for low, _ in limits], [end - 1 for _, end in limits], 0
    found = interpret(netlist, {name: columns[:, [n]] for n, name in enumerate(OPERANDS)}, check=True)["result"]
    differs = (found != run(compiled, columns, len(names))).sum(axis=0)
    assert [name for name, n in zip(names, differs, strict=True) if n] == []


def test_quantizers_in_every_mode_with_formats_from_tables(tmp_path: Path) -> None:
    """A value and the place of its format: shifts by wires, every rounding and overflow mode, divisors among them."""
    cases = [(mode, (1, 3, 9)[n % 3]) for n, mode in enumerate(MODES)]
    prelude = "".join(quant_config(f"config_{n}", mode, divisor) for n, (mode, divisor) in enumerate(cases))
    for name, bits, values in (("shifts", 8, SHIFTS), ("widths", 8, WIDTHS), ("signs", 1, [k for k, _, _ in FORMATS])):
        prelude += f"static const ap_uint<{bits}> {name}[{len(values)}] = {{{', '.join(map(str, values))}}};\n"
    prelude += f"typedef ap_fixed<{X_WIDTH}, {X_WIDTH - X_FRACTION}> in_t;\n"
    prelude += f"typedef ap_fixed<40, {40 - max(f for *_, f in FORMATS)}> out_t;\n"
    inputs = {"x": ("in_t", 1), "place": ("ap_uint<4>", 1)}
    picked = ", ".join(f"pick<{len(FORMATS)}>({table}, place[0])" for table in ("shifts", "widths", "signs"))
    layers = [
        layer(
            f"case{n}",
            inputs,
            {f"y{n}": ("out_t", 1)},
            f"*y{n} = quantize<in_t, out_t, config_{n}>(*x, {picked} != 0);",
        )
        for n in range(len(cases))
    ]
    text = recorded(recorder(tmp_path, layers, ["fixed_point_quant.h"], prelude))
    x = np.arange(-(2 ** (X_WIDTH - 1)), 2 ** (X_WIDTH - 1))
    values, places = np.meshgrid(x, np.arange(len(FORMATS)), indexing="ij")
    events = {"x": values.reshape(-1, 1), "place": places.reshape(-1, 1)}
    found = interpret(read_netlist(text.splitlines()), events, check=True)
    for n, (mode, divisor) in enumerate(cases):
        np.testing.assert_array_equal(found[f"y{n}"].reshape(values.shape), expected(x, mode, divisor), str(cases[n]))
    assert {"vshl", "vshr", "mux", "rom"} <= {line.split()[2] for line in lines(text, "node")}


# ---- loops and registers --------------------------------------------------------------------------------------------

ARRAYS = {"x": ("ap_int<8>", 8)}, {"y": ("ap_int<20>", 8)}
LOOPS = {
    "sum": ["loop 0 - 8 1 i", "endloop 0"],
    "slow": ["loop 0 - 8 2 i", "endloop 0"],
    "nest": ["loop 0 - 4 1 row", "loop 1 0 3 1 column", "endloop 1", "endloop 0"],
    "in_a_row": ["loop 0 - 5 1 first", "endloop 0", "loop 1 - 6 1 second", "endloop 1"],
    "in_an_unrolled_one": ["loop 0 - 4 1 i", "endloop 0", "loop 1 - 4 1 i", "endloop 1"],
    "one_trip": ["loop 0 - 2 1 j", "endloop 0"],
    "unchanged": ["loop 0 - 3 1 i", "endloop 0"],
    "exchange": ["loop 0 - 5 1 i", "endloop 0"],
}
REGISTERS = {"sum": 1, "slow": 8, "nest": 5, "in_a_row": 3, "in_an_unrolled_one": 2, "one_trip": 2}
REGISTERS |= {"unchanged": 3, "exchange": 3}


def test_loops_and_their_registers(tmp_path: Path) -> None:
    assert functions("loop_cases.h") == list(LOOPS)
    layers = [layer(n, ARRAYS[0], {f"y_{n}": ARRAYS[1]["y"]}, f"clear(y_{n}); {n}(x, y_{n});") for n in LOOPS]
    text = recorded(recorder(tmp_path, layers, ["loop_cases.h"]))
    calls = "".join(f"clear(out); {name}(in, out); store(out, y + {8 * n}, 8);\n" for n, name in enumerate(LOOPS))
    entry = f"void run(const long long* x, long long* y) {{ in_t in[8]; out_t out[8]; load(x, in, 8); {calls} }}"
    compiled = library(tmp_path, [str(HERE / "recorder" / "loop_cases.h")], entry)
    x = np.random.default_rng(1).integers(-128, 128, (100, 8))
    found = interpret(read_netlist(text.splitlines()), {"x": x}, check=True)
    wanted = run(compiled, x, 8 * len(LOOPS)).reshape(len(x), len(LOOPS), 8)
    for n, (name, part) in enumerate(zip(LOOPS, text.split("endlayer"), strict=False)):
        np.testing.assert_array_equal(found[f"y_{name}"], wanted[:, n], err_msg=name)
        assert lines(part, "loop", "endloop") == LOOPS[name], name
        assert len(lines(part, "reg")) == len(lines(part, "next")) == REGISTERS[name], name


REFUSED = {
    "branch_on_data": ": a branch on data; write select",
    "index_of_data": ": an index or number that depends on data",
    "division_by_data": ": a division by something else than a positive constant",
    "undeclared_state": ", loop over i: a later trip is not the first one again: state that is not declared",
    "branch_on_the_counter": ", loop over i: a later trip is not the first one again",
    "undeclared_result": ": a value made in the loop over i is used behind it; declare it as a register",
    "counter_of_no_loop": ": a counter of no loop",
    "counter_of_another_length": ", loop over i: varying.. and the loop over i do not agree",
    "more_trips": ": the loop over i does not count from 0, or not by 1, or has more trips than it says",
    "fewer_trips": ", loop over i: a loop has fewer trips than it says",
    "declared_inside": ", loop over i: registers are declared inside of a loop",
    "changed_beside_an_inner_loop": ", loop over i: a register changes beside an inner loop",
    "changed_behind_an_inner_loop": ", loop over i: a register changes behind an inner loop",
    "read_beside_an_inner_loop": ", loop over i: a register is read beside an inner loop",
    "two_inner_loops": ", loop over i: two loops inside of one",
    "never_set": ": a value is used that was never set",
    "not_written": ": output y is not written everywhere",
    "beside_an_unsigned_number": ": a number that can be negative beside an unsigned one",
    "too_wide": ": a product of more than 126 bits",
    "too_many_lines": ": more than 1000 lines and operands",
}


def test_what_is_no_hardware_is_refused_by_name(tmp_path: Path) -> None:
    assert functions("refused_cases.h") == list(REFUSED)
    outputs = {"y": ("ap_int<20>", 1)}
    layers = [layer(name, ARRAYS[0], outputs, f"{name}(x, y);", 1000) for name in REFUSED]
    program = recorder(tmp_path, layers, ["refused_cases.h"])
    for name, message in REFUSED.items():
        with pytest.raises(Refused, match=f"^layer {name}, kernel kernel{message}"):
            recorded(program, name)


def test_streams_are_words_with_an_enable(tmp_path: Path) -> None:
    """Three words are taken, every other trip of six; each leaves with the lanes exchanged."""
    body = """
    sparse_qonnx::netlist::stream_port<ap_int<8> >("from", "in", 2);
    sparse_qonnx::netlist::stream_port<ap_int<8> >("to", "out", 2);
    hls::stream<beat<ap_int<8>, 2> > from("from"), to("to");
    ap_int<8> held[2] = {0, 0}; SPARSE_QONNX_REGISTERS(held, 2)
    for (unsigned i = 0; i < 6; i++) {
        SPARSE_QONNX_LOOP(i, 6, 1)
        ap_int<8> word[2];
        const bit_t takes = !bit_at(varying<6>(i), 0);
        read_where(from, takes, word);
        for (unsigned k = 0; k < 2; k++) load(held[k], word[k], takes);
        beat<ap_int<8>, 2> out;
        out.values[0] = held[1]; out.values[1] = held[0];
        to.write(out);
    }"""
    text = recorded(recorder(tmp_path, [layer("there", {}, {}, body)], ["common/blocks.h", "common/stream.h"]))
    assert lines(text, "stream") == ["stream from in 2 8 1", "stream to out 2 8 1"]
    (taken,) = lines(text, "word_in")
    assert taken.startswith("word_in from n") and len(lines(text, "lane")) == 2
    words = np.random.default_rng(2).integers(-128, 128, (20, 6))
    found = interpret(read_netlist(text.splitlines()), {"from": words}, check=True)["to"]
    wanted = words.reshape(20, 3, 2)[:, [0, 0, 1, 1, 2, 2], ::-1].reshape(20, 12)
    np.testing.assert_array_equal(found, wanted)


def test_the_format_is_written_down() -> None:
    """Every operator and line that the recorder can write, and no other."""
    folder = BACKEND / "sim" / "netlist"
    names = re.search(r"names\[\] = \{(.*?)\};", (folder / "recording.h").read_text(), re.DOTALL)
    assert names is not None
    written = re.findall(r'"(\w+)"', names.group(1))
    text = (folder / "FORMAT.md").read_text()
    rows = re.findall(r"^\| ([a-z, ]+) \|", text, re.MULTILINE)
    operators = {name for row in rows for name in row.split(", ")}
    described = set(re.findall(r"^    (\w+)\b", text, re.MULTILINE))
    assert operators == {op.value for op in Op} & set(written) - described
    assert set(written) <= operators | described
