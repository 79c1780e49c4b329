"""Scheduled netlists as Verilog: simulated, they give what the interpreter gives, and no tool finds fault with them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rtl_random import WIDTH, random_events, random_netlist
from sparse_qonnx.rtl.interpret import interpret
from sparse_qonnx.rtl.passes import clean_up
from sparse_qonnx.rtl.reader import read_netlist
from sparse_qonnx.rtl.schedule import make_plan
from sparse_qonnx.rtl.simulate import NEVER, VERILATOR, Simulation, build_library
from sparse_qonnx.rtl.verilog.layer import write_layer
from sparse_qonnx.rtl.verilog.names import Names
from sparse_qonnx.rtl.verilog.text import Bits, Signal
from sparse_qonnx.rtl.verilog.top import Bus, write_top

needs_verilator = pytest.mark.skipif(shutil.which("verilator") is None, reason="Verilator is not installed")
LAYERS, EVENTS = 8, 12


def complaints(sources: list[Path]) -> str:
    """What Verilator, yosys and Icarus say of a design; nothing of those that are not installed."""
    files = [str(path) for path in sources]
    checked = "hierarchy -check -top top; proc; check -assert"
    commands = [
        ["verilator", "--lint-only", "-Wall", "--top-module", "top", *files],
        ["yosys", "-q", "-p", f"read_verilog {' '.join(files)}; {checked}"],
        ["iverilog", "-g2005", "-Wall", "-t", "null", *files],
    ]
    said = [
        subprocess.run(command, capture_output=True, text=True, check=False)
        for command in commands
        if shutil.which(command[0]) is not None
    ]
    return "\n".join(done.stdout + done.stderr for done in said).strip()


@needs_verilator
@pytest.mark.parametrize(("seed", "limit"), [(0, 2.0), (2, 5.0), (7, 3.0)])
def test_random_netlists_are_exact_in_every_cycle(seed: int, limit: float, tmp_path: Path) -> None:
    recorded = read_netlist(random_netlist(seed, LAYERS).splitlines())
    x = {"x": random_events(seed, EVENTS)}
    expected = interpret(recorded, x)
    netlist = clean_up(recorded)
    shown = netlist.layers[-1].outputs
    given, answer = Bus("x", 5, WIDTH), Bus(shown[0].tensor, len(shown), shown[0].width)
    plan = make_plan(netlist, [("x", k) for k in range(5)], [(answer.tensor, k) for k in range(answer.size)], limit)
    assert any(w.taken is not None for windows in plan.elements.values() for w in windows) or seed == 2
    modules = [None if layer.is_empty else write_layer(layer, layer.layer.name, "") for layer in plan.layers]
    top = write_top(plan, modules, "top", [given], [answer])
    sources = []
    for module in modules:
        if module is not None:
            sources.append(tmp_path / f"{module.name}.v")
            sources[-1].write_text(module.text)
    (tmp_path / "top.v").write_text(top.text)
    (tmp_path / "traced").mkdir()
    (tmp_path / "traced" / "top.v").write_text(top.traced_text)
    assert complaints([*sources, tmp_path / "top.v"]) == ""
    ports = [probe.port for probe in top.probes.values()]
    library = build_library(VERILATOR, [*sources, tmp_path / "traced" / "top.v"], "top", ["x"], ports, tmp_path)
    simulation = Simulation(library, [given], top.probes, dict.fromkeys(top.probes, True))
    rng = np.random.default_rng(seed)
    pauses = rng.integers(0, 2 * plan.interval, EVENTS)
    resets = np.where(rng.random(EVENTS) < 0.4, rng.integers(0, plan.latency + 1, EVENTS), NEVER)
    for gaps, restarts in ((None, None), (pauses, None), (pauses, resets)):
        found, timing = simulation.run(x, list(top.probes), gaps, restarts)
        for name, values in found.items():
            # An array that nobody reads can come after the outputs, and a reset then takes it away.
            if restarts is None or max(top.probes[name].cycles) <= plan.latency:
                assert np.array_equal(values, expected[name].astype(np.int64)), (name, restarts)
        assert timing.latency == plan.latency
        if gaps is None:
            assert timing.interval == plan.interval


def test_names_are_safe_and_distinct() -> None:
    names = Names(["clk"])
    given = [names(wanted) for wanted in ("reg", "Reg", "clk", "a b", "a_b", "1st", "_x", "table", "änder")]
    assert len({name.lower() for name in given}) == len(given)
    assert not {"reg", "clk", "table"} & {name.lower() for name in given}
    assert all(name.isascii() and name.isidentifier() and name[0].isalpha() for name in given)


def test_parts_extend_signs_and_remember_what_nobody_took() -> None:
    bits, signed, plain = Bits(), Signal("s", 4, True), Signal("p", 4)
    assert bits.part(signed, 0, 6) == "{{2{s[3]}}, s}"
    assert bits.part(plain, 2, 4) == "{2'h0, p[3:2]}"
    assert bits.part(Signal("", 3, True, -3), 0, 5) == "5'h1d"
    assert bits.part(signed, 6, 2) == "{2{s[3]}}"
    assert bits.unused([signed, plain]) == ["p[1:0]"]
