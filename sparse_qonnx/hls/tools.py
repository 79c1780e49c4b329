"""The tools a project can be made for: their scripts, and running them."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparse_qonnx.errors import ConfigurationError, ToolError
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.system.locks import locked
from sparse_qonnx.system.processes import child, stop

STEPS = ("csim", "synth", "cosim", "export")


@dataclass(frozen=True)
class Tool:
    """A synthesis tool.

    Attributes:
        name: for people.
        command: what runs the project's script, in the project's folder.
        scripts: templates that are written for it.
        flow_target: what its `open_solution` wants beside the name.
        settings: lines of the script that only this tool understands.
    """

    name: str
    command: tuple[str, ...]
    scripts: tuple[str, ...] = ("build_prj.tcl", "Makefile")
    flow_target: str = ""
    settings: tuple[str, ...] = ()


_VITIS = " -flow_target vivado"
_LONG_NAMES = "config_compile -name_max_length 80"

TOOLS = {
    "Vitis": Tool(
        "Vitis HLS 2020.2 to 2024.1", ("vitis_hls", "-f", "build_prj.tcl"), flow_target=_VITIS, settings=(_LONG_NAMES,)
    ),
    # Without it, Vivado HLS partitions no array of more than 1024 elements.
    "Vivado": Tool(
        "Vivado HLS 2019.2 to 2020.1",
        ("vivado_hls", "-f", "build_prj.tcl"),
        settings=(_LONG_NAMES, "config_array_partition -maximum_size 65536"),
    ),
    "VitisUnified": Tool(
        "Vitis 2024.2 and later",
        ("vitis-run", "--mode", "hls", "--tcl", "build_prj.tcl"),
        scripts=("build_prj.tcl", "hls_config.cfg", "Makefile"),
        flow_target=_VITIS,
        settings=(_LONG_NAMES,),
    ),
    "Verilog": Tool("yosys, and Vivado for Verilog", ("yosys",), scripts=()),
}


def script_values(config: HlsConfig) -> dict[str, str]:
    """What the templates of the scripts are filled with."""
    tool = TOOLS[config.backend]
    uncertainty = config.clock_uncertainty
    stated = "" if uncertainty is None else f"{uncertainty}"
    lines = [*tool.settings, *([f"set_clock_uncertainty {stated} default"] if stated else [])]
    return {
        "TOP": config.top,
        "TOOL": tool.name,
        "COMMAND": " ".join(tool.command),
        "FLOW_TARGET": tool.flow_target,
        "PART": config.part,
        "CLOCK_PERIOD": f"{float(config.clock_period):g}",
        "SETTINGS": "\n".join(lines),
        "UNCERTAINTY": f"clock_uncertainty={stated}\n" if stated else "",
    }


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
        OutputPathError: the tool runs in this project already.
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
    environment = {"HLS_STEPS": " ".join(s for s in STEPS if s in steps)}
    lines: list[str] = []
    with (
        locked(folder / "build_prj.tcl", f"synthesis in {str(folder)!r}"),
        child(tool.command, cwd=folder, env=environment, merge=True) as process,
    ):
        code = _follow(process, lines, log, timeout)
    if code != 0:
        tail = " | ".join(line for line in lines[-8:] if line)
        problem = f"took longer than {timeout} s" if code is None else f"ended with code {code}"
        raise ToolError(tool.command[0], f"{problem}: {tail}", fix=f"read the log in {str(folder)!r}")


def _follow(
    process: subprocess.Popen[str], lines: list[str], log: Callable[[str], None] | None, timeout: float | None
) -> int | None:
    """Pass output on until the process ends; None when it had to be stopped."""
    stopped = threading.Event()

    def end() -> None:
        stopped.set()
        stop(process)

    timer = threading.Timer(timeout, end) if timeout is not None else None
    if timer is not None:
        timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if log is not None:
                log(lines[-1])
        code = process.wait()
    finally:
        if timer is not None:
            timer.cancel()
    return None if stopped.is_set() else code
