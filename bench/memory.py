"""Peak memory of a run, each in a process of its own: what it needs beyond input and outputs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CHANNELS = 3
SETUPS = ((64, 20, 4000), (128, 20, 1000), (128, 128, 1000), (128, 512, 1000))
"""Side of the image, N, events."""


def status(key: str) -> int:
    """A figure of this process in bytes, as the kernel counts it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def measure(side: int, slots: int, events: int) -> dict[str, int]:
    """Bytes that the first run with a batch takes, its input not counted (it is there before)."""
    import models

    import sparse_qonnx as sq

    session = sq.InferenceSession(models.graph(side, slots, CHANNELS))
    x = models.images(side, 2 * slots, 100).repeat(events // 100, axis=0)
    session.run(None, {"image": x[:2]})
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = status("VmRSS")
    (y,) = session.run(None, {"image": x})
    return {"used": status("VmHWM") - before, "output": y.nbytes, "input": x.nbytes}


def peaks() -> dict[str, Any]:
    """Everything that is measured; the bound is outputs + 64 bytes for every slot and channel."""
    found = []
    for setup in SETUPS:
        call = [sys.executable, __file__, *map(str, setup)]
        answer = subprocess.run(call, capture_output=True, text=True, check=True).stdout
        entry = json.loads(answer.splitlines()[-1])
        side, slots, events = setup
        entry["bound"] = entry["output"] + 64 * events * slots * CHANNELS
        found.append({"name": f"{events} events of {side} x {side}, N = {slots}", **entry})
    return {"title": "Peak memory beyond the input, MB", "setups": found}


def rows(result: dict[str, Any]) -> list[list[str]]:
    lines = [["", "input", "used", "outputs + 64 B·B·N·C"]]
    for entry in result["setups"]:
        lines.append([entry["name"], *(f"{entry[k] / 1e6:.1f}" for k in ("input", "used", "bound"))])
    return lines


def bars(result: dict[str, Any], path: Path) -> None:
    from matplotlib import pyplot as plt

    figure, panel = plt.subplots(figsize=(8, 3), constrained_layout=True)
    names = [e["name"] for e in result["setups"]]
    panel.barh(names, [e["bound"] / 1e6 for e in result["setups"]], color="lightgray", label="outputs + 64 B·B·N·C")
    panel.barh(names, [e["used"] / 1e6 for e in result["setups"]], height=0.4, label="used")
    panel.set(xlabel="MB", title=result["title"])
    panel.legend(fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:4]))))
