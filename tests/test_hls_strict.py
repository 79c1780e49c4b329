"""Every header alone and generated projects, through strict compilers: unknown pragmas aside, no warning at all."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sparse_qonnx import _paths
from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.headers import find_ap_headers

BACKEND = _paths.hls_backend()
# The headers of ap_fixed read their own uninitialized members, seen once they are inlined into our functions.
WARNINGS = ("-pedantic", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-uninitialized")
COMPILERS = {"g++": "-std=c++11", "clang++": "-std=c++14"}
HEADERS = sorted(p.relative_to(BACKEND).as_posix() for p in (BACKEND / "kernels").rglob("*.h"))
# common/select.h brings in the version of it that records.
RECORDER = sorted(
    p.relative_to(BACKEND).as_posix()
    for p in (BACKEND / "sim" / "netlist").glob("*.h")
    if p.name != "recorded_select.h"
)


def compile_strictly(compiler: str, *arguments: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    command = [compiler, COMPILERS[compiler], *WARNINGS, *arguments, "-fsyntax-only"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]


@pytest.mark.parametrize("compiler", COMPILERS)
def test_headers_alone(compiler: str, tmp_path: Path) -> None:
    """Each in a translation unit of its own, as C-simulation and as the recorder see it."""

    def sources(names: list[str]) -> list[str]:
        for name in names:
            (tmp_path / (name.replace("/", "_") + ".cpp")).write_text(f'#include "{name}"\n')
        return [str(tmp_path / (name.replace("/", "_") + ".cpp")) for name in names]

    simulated = ["-isystem", str(find_ap_headers()), "-I", str(BACKEND), "-I", str(BACKEND / "sim")]
    compile_strictly(compiler, *simulated, *sources(HEADERS))
    folders = ["-I", str(BACKEND / "sim" / "netlist"), "-I", str(BACKEND)]
    compile_strictly(compiler, "-DSPARSE_QONNX_NETLIST", *folders, *sources([*HEADERS, *RECORDER]))


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    "config",
    [
        {"layers": {"dense": {"strategy": "distributed_arithmetic"}}},
        {"namespace": "tiny", "head": "skip", "top": "net", "io_type": "io_stream", "weights": "bram"},
    ],
    ids=["plain", "stream"],
)
def test_project(compiler: str, config: dict[str, Any], small_model: Path, tmp_path: Path) -> None:
    """Firmware, test bench and the bridge of C-simulation, as they are and with what only synthesis sees."""
    folder, top = tmp_path / "firmware", config.get("top", "sparse_cnn")
    to_hls(small_model, folder, config=config)
    headers = ("-isystem", str(find_ap_headers()), "-I", str(folder / "sim"))
    firmware = str(folder / "firmware" / f"{top}.cpp")
    bench, bridge = str(folder / f"{top}_test.cpp"), str(folder / "sim" / "bridge.cpp")
    compile_strictly(compiler, *headers, firmware, bench)
    compile_strictly(compiler, *headers, "-DSPARSE_QONNX_TRACE", firmware, bridge)
