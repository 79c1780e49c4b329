"""Synthesis with yosys: look-up tables, flip-flops and levels of every layer, without a licence."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparse_qonnx.errors import ConfigurationError, ToolError
from sparse_qonnx.rtl.device import Clock
from sparse_qonnx.rtl.mapped import figures_of
from sparse_qonnx.rtl.simulate import default_threads, yosys_command
from sparse_qonnx.system.atomic import as_output_error, atomic_file, scratch_folder
from sparse_qonnx.system.processes import child, stop

RESULT = "build/synthesis.json"
ABC = "+strash;scorr;dch,-f;if,-K,6;mfs2"
"""Keeps the depth of what it maps, which the usual script of yosys gives up for area: our trees became chains of 29."""
Log = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    """What is synthesized by itself.

    Attributes:
        name: for people: a layer, or what connects them.
        module: its module.
        source: its file.
        others: files with modules that it holds, and that are not looked into.
        stated: levels of its longest path by the model.
    """

    name: str
    module: str
    source: Path
    others: tuple[Path, ...] = ()
    stated: float = 0.0


def script(part: Part, family: str, dsp: bool, bram: bool) -> str:
    """The yosys script: six-input tables without wide multiplexers; memories and DSPs only where they are wanted."""
    options = ["" if dsp else "-nodsp", "" if bram else "-nobram"]
    flags = " ".join(["-noiopad -noclkbuf -nosrl", *filter(None, options)])
    reads = [f"read_verilog -lib {path.name}" for path in part.others] + [f"read_verilog {part.source.name}"]
    synth = f"synth_xilinx -family {family} -top {part.module} {flags} -run begin:map_cells"
    return "; ".join(
        [
            *reads,
            synth,
            "techmap",
            "opt_clean",
            f"abc -lut 6 -script {ABC}",
            "opt_clean",
            f"write_json {part.module}.json",
        ]
    )


def synthesize(
    folder: Path,
    parts: Sequence[Part],
    clock: Clock,
    *,
    dsp: bool = False,
    bram: bool = False,
    log: Log | None = None,
    timeout: float | None = None,
) -> None:
    """Synthesize every part and write what came of it into the project.

    Args:
        folder: the project.
        parts: layers and what connects them.
        clock: family of the part, and what a level costs.
        dsp: multipliers may become DSPs.
        bram: tables may become block RAM.
        log: called with each line of yosys.
        timeout: seconds after which it is stopped.

    Raises:
        ConfigurationError: yosys does not know the family.
        ToolError: yosys is missing, fails or takes too long.
        OutputPathError: the project cannot be written.
    """
    if not clock.family.yosys:
        raise ConfigurationError(
            "part", f"is of a family that yosys does not know: {clock.family.name}", fix="use Vivado"
        )
    command = yosys_command()
    digest = digest_of(part.source for part in parts)
    with as_output_error(f"project {str(folder)!r}"):
        (folder / "build").mkdir(exist_ok=True)
    with scratch_folder(folder / "build") as scratch, _Crew(log, timeout) as crew:

        def run(number: int) -> dict[str, Any]:
            part, place = parts[number], scratch / f"{number}"
            place.mkdir()
            for path in (*part.others, part.source):  # a packaged yosys sees its own folder only
                shutil.copy(path, place / path.name)
            crew.run([*command, "-p", script(part, clock.family.yosys, dsp, bram)], part.name, place)
            figures = figures_of(place / f"{part.module}.json", part.module, clock)
            return {"layer": part.name, **figures, "stated_levels": part.stated}

        rows = crew.map(run, range(len(parts)))
    content = {"digest": digest, "dsp": dsp, "bram": bram, "rows": rows}
    with atomic_file(folder / RESULT) as stream:
        stream.write(json.dumps(content, indent=2).encode())


def digest_of(sources: Any) -> str:
    """What tells a design from others."""
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def read_result(folder: Path, sources: Sequence[Path]) -> Mapping[str, Any]:
    """What `synthesize` wrote.

    Raises:
        ToolError: nothing yet, or of another design.
    """
    where, path = f"project {str(folder)!r}", folder / RESULT
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ToolError(where, "holds no synthesis report yet", fix="run build() first") from error
    if content.get("digest") != digest_of(sources):
        raise ToolError(where, "holds the synthesis report of another design", fix="run build() again")
    return content


class _Crew:
    """Processes that run side by side, and all end when one fails or somebody interrupts."""

    def __init__(self, log: Log | None, timeout: float | None) -> None:
        self._log, self._timeout = log, timeout
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._is_stopped = self._is_late = False
        self._timer = threading.Timer(timeout, self._end) if timeout is not None else None

    def __enter__(self) -> _Crew:
        if self._timer is not None:
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._stop()

    def _end(self) -> None:
        self._is_late = True
        self._stop()

    def _stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            running = list(self._running)
        for process in running:
            stop(process)

    def map(self, work: Callable[[int], dict[str, Any]], numbers: range) -> list[dict[str, Any]]:
        """Results of all pieces of work, a process on each processor."""
        with ThreadPoolExecutor(default_threads()) as pool:
            futures = [pool.submit(work, n) for n in numbers]
            try:
                return [future.result() for future in futures]
            except BaseException:
                for future in futures:
                    future.cancel()
                self._stop()
                raise

    def run(self, command: Sequence[str], name: str, folder: Path) -> None:
        """One program to its end, its lines to the log."""
        last: list[str] = []
        with child(command, cwd=folder, merge=True) as process:
            with self._lock:
                self._running.add(process)
                is_stopped = self._is_stopped
            if is_stopped:
                stop(process)
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    last = [*last[-7:], line.rstrip()]
                    if self._log is not None:
                        self._log(f"{name}: {last[-1]}")
                code = process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)
        if self._is_late:
            raise ToolError("yosys", f"took longer than {self._timeout} s", fix="give it more time")
        if code != 0:
            tail = " | ".join(line for line in last if line)
            raise ToolError(
                "yosys", f"ended with code {code} in {name!r}: {tail}", fix="report it: the Verilog is ours"
            )
