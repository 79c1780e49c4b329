"""Measuring several things side by side on a machine that may be busy with others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Microseconds an event: the median and the smallest of the repeats."""

    median: float
    best: float


def interleaved(
    cases: Mapping[str, Callable[[], object]],
    events: int | Mapping[str, int],
    seconds: float = 6.0,
    burst: int = 1,
) -> dict[str, Timing]:
    """Time all cases in turns, so that what disturbs one disturbs the others too.

    Every case has at least three turns; slow ones get no more than their share of the time. Before each turn there is a
    pause, in which the threads of the one before it fall asleep.

    Args:
        cases: what to run, by name.
        events: how many events one call handles, for all cases or for each.
        seconds: time for all cases together.
        burst: calls in a turn. Of several, the first third is not counted: they find cold caches.
    """
    for run in cases.values():
        run()  # first calls allocate and compile
    samples: dict[str, list[float]] = {name: [] for name in cases}
    share = seconds / len(cases)
    while True:
        due = [n for n, s in samples.items() if len(s) < 3 or (sum(s) < share and len(s) < 200 * burst)]
        if not due:
            break
        for name in due:
            time.sleep(0.005)
            for call in range(burst):
                start = time.perf_counter()
                cases[name]()
                if call >= burst // 3:
                    samples[name].append(time.perf_counter() - start)
    counts = events if isinstance(events, Mapping) else dict.fromkeys(cases, events)
    return {
        name: Timing(*(1e6 * float(f(values)) / counts[name] for f in (np.median, np.min)))
        for name, values in samples.items()
    }
