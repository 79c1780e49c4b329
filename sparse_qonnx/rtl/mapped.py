"""A netlist that yosys mapped, as figures: cells by resource, and the levels of its longest path.

Levels count as in `delay`: a look-up table is one, a carry chain takes an eighth a bit.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sparse_qonnx.rtl.device import Clock

# Resource of a cell by its type, and how many it takes.
_RESOURCES = (
    (r"\$lut|LUT[1-6](_2)?", "LUT", 1),
    (r"RAM(32|64|128|256)[XM]\w*", "LUT", 4),
    (r"\$_\w*DFF\w*_|FD[RSCP]E\w*", "FF", 1),
    (r"DSP48\w*", "DSP", 1),
    (r"RAMB18\w*", "BRAM", 1),
    (r"RAMB36\w*", "BRAM", 2),
)
# Levels of a cell by its type.
_LEVELS = ((r"\$lut|LUT\d\w*", 1.0), (r"CARRY4", 0.5), (r"CARRY8", 1.0), (r"MUXF[789]", 0.25), (r"DSP48\w*", 4.0))
_SEQUENTIAL = r"\$_\w*DFF\w*_|FD[RSCP]E\w*|RAM\w+"


def figures_of(path: Path, module: str, clock: Clock) -> dict[str, Any]:
    """Resources of a module, levels of its longest path, and the clock period that these ask for, in ns."""
    cells: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))["modules"][module]["cells"]
    counts = dict.fromkeys(("LUT", "FF", "DSP", "BRAM"), 0)
    for cell in cells.values():
        for pattern, resource, number in _RESOURCES:
            if re.fullmatch(pattern, cell["type"]):
                counts[resource] += number
    levels = longest_path(cells.values())
    return {**counts, "levels": levels, "clock": round(clock.reached(levels), 2)}


def longest_path(cells: Iterable[Mapping[str, Any]]) -> float:
    """Levels between two registers, at most."""
    driver: dict[int, int] = {}
    delays: list[float] = []
    inputs: list[list[int]] = []
    for cell in cells:
        if re.fullmatch(_SEQUENTIAL, cell["type"]) or cell["type"].startswith("$scopeinfo"):
            continue
        number = len(delays)
        delays.append(next((levels for pattern, levels in _LEVELS if re.fullmatch(pattern, cell["type"])), 0.0))
        inputs.append([])
        directions = cell.get("port_directions", {})
        for port, bits in cell["connections"].items():
            is_output = directions.get(port, "output" if port in ("Y", "O", "Q") else "input") == "output"
            for bit in bits:
                if isinstance(bit, int):
                    if is_output:
                        driver[bit] = number
                    else:
                        inputs[number].append(bit)
    return _longest(delays, [{driver[b] for b in bits if b in driver} for bits in inputs])


def _longest(delays: list[float], before: list[set[int]]) -> float:
    after: dict[int, list[int]] = defaultdict(list)
    waiting = [len(b) for b in before]
    for number, known in enumerate(before):
        for b in known:
            after[b].append(number)
    at = [0.0] * len(delays)
    ready = [n for n, count in enumerate(waiting) if count == 0]
    while ready:
        n = ready.pop()
        at[n] += delays[n]
        for following in after[n]:
            at[following] = max(at[following], at[n])
            waiting[following] -= 1
            if waiting[following] == 0:
                ready.append(following)
    return max(at, default=0.0)
