"""One picture for each question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt


def bars(result: dict[str, Any], path: Path) -> None:
    """Times of everybody, in a batch and alone."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 3.6), constrained_layout=True)
    for panel, key, title in zip(panels, ("batch", "single"), ("in a batch", "a single event"), strict=True):
        names = sorted(result[key], key=lambda n: result[key][n].median)
        values = [result[key][n].median for n in names]
        drawn = panel.barh(names, values, color=["tab:green" if "native" in n else "tab:gray" for n in names])
        panel.bar_label(drawn, [f"{v:.3g}" for v in values], padding=3, fontsize=8)
        panel.set(xscale="log", xlabel="µs an event", title=title, xlim=(min(values) / 2, max(values) * 4))
        panel.tick_params(axis="y", labelsize=8)
    figure.suptitle(result["title"])
    figure.savefig(path, dpi=130)
    plt.close(figure)


def curves(result: dict[str, Any], path: Path) -> None:
    """Times along an axis."""
    figure, panel = plt.subplots(figsize=(6, 4), constrained_layout=True)
    for name, points in result["series"].items():
        panel.plot(list(points), [p.median for p in points.values()], marker="o", label=name)
    panel.set(xscale="log", yscale="log", xlabel=result["axis"], ylabel="µs an event")
    panel.set_title(result["title"], fontsize=9)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)
