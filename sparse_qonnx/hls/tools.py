"""The three tools a project can be made for, and running them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparse_qonnx.errors import ConfigurationError, ToolError

STEPS = ("csim", "synth", "cosim", "export")


@dataclass(frozen=True)
class Tool:
    """A synthesis tool: its name for people, its command, and what its Tcl wants beside the common part."""

    name: str
    command: tuple[str, ...]
    flow_target: str = ""


TOOLS = {
    "Vitis": Tool("Vitis HLS 2020.2 to 2024.1", ("vitis_hls", "-f", "build_prj.tcl"), " -flow_target vivado"),
    "Vivado": Tool("Vivado HLS 2019.2 to 2020.1", ("vivado_hls", "-f", "build_prj.tcl")),
    "VitisUnified": Tool(
        "Vitis 2024.2 and later", ("vitis-run", "--mode", "hls", "--tcl", "build_prj.tcl"), " -flow_target vivado"
    ),
}


def check_target(backend: str, part: str, clock_period: float) -> Tool:
    """The tool of a backend; the other two values are checked because they go into a Tcl file.

    Raises:
        ConfigurationError: an unknown backend, or a part or clock period that cannot be one.
    """
    if backend not in TOOLS:
        raise ConfigurationError("backend", f"is {backend!r}", allowed=", ".join(TOOLS))
    if not isinstance(part, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", part):
        raise ConfigurationError("part", f"is {part!r}", allowed="a part number such as xcu250-figd2104-2L-e")
    is_number = isinstance(clock_period, int | float) and not isinstance(clock_period, bool)
    if not is_number or not 0.1 <= clock_period <= 1000:
        raise ConfigurationError("clock_period", f"is {clock_period!r}", allowed="0.1 to 1000 ns")
    return TOOLS[backend]


def run_tool(
    tool: Tool,
    folder: Path,
    steps: Sequence[str],
    log: Callable[[str], None] | None = None,
    timeout: float | None = None,
) -> None:
    """Run the tool on a project.

    Args:
        tool: which one.
        folder: the project.
        steps: some of STEPS, in this order.
        log: called with each line of output.
        timeout: seconds after which the tool is stopped.

    Raises:
        ConfigurationError: an unknown step.
        ToolError: the tool is not installed, fails, or takes too long; the end of its output is in the message.
    """
    for step in steps:
        if step not in STEPS:
            raise ConfigurationError("build", f"unknown step {step!r}", allowed=", ".join(STEPS))
    if shutil.which(tool.command[0]) is None:
        raise ToolError(
            f"{tool.command[0]}",
            "is not on the PATH",
            allowed=tool.name,
            fix=f"source the tool's settings64.sh, or run in {str(folder)!r}: {' '.join(tool.command)}",
        )
    environment = {**os.environ, "HLS_STEPS": " ".join(s for s in STEPS if s in steps)}
    lines: list[str] = []
    with subprocess.Popen(
        tool.command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        code = _follow(process, lines, log, timeout)
    if code != 0:
        tail = " | ".join(line for line in lines[-8:] if line)
        problem = f"took longer than {timeout} s" if code is None else f"ended with code {code}"
        raise ToolError(tool.command[0], f"{problem}: {tail}", fix=f"read the log in {str(folder)!r}")


def _follow(
    process: subprocess.Popen[str], lines: list[str], log: Callable[[str], None] | None, timeout: float | None
) -> int | None:
    """Pass output on until the process ends; None when it had to be stopped."""
    import threading

    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        process.kill()

    timer = threading.Timer(timeout, stop) if timeout is not None else None
    if timer is not None:
        timer.start()
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip())
        if log is not None:
            log(lines[-1])
    code = process.wait()
    if timer is not None:
        timer.cancel()
    return None if stopped.is_set() else code
