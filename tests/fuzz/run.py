"""`make fuzz N=1000 SEED=0`: many random networks, with progress, statistics, and a script for the smallest failure.

Blocks of cases run in processes of their own; block b of seed s draws with hypothesis's seed s * 100000 + b, so that a
block can be run again alone (`--block`).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a script: `fuzz` lies beside this folder's name, not in it
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

# Before anything imports TensorFlow: quiet, on the CPU, one thread a process.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import argparse
import json
import multiprocessing
import re
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from fuzz.networks import networks
from fuzz.recipe import Network

BLOCK = 20
SEEDS_PER_RUN = 100_000
SHRINK_SECONDS = 120
DRAWN_PER_CASE = 10  # hypothesis varies what it has drawn before; only the first network of a structure is checked


@dataclass
class Tally:
    """What a number of cases came to."""

    cases: int = 0
    exported: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)
    values: list[int] = field(default_factory=lambda: [0, 0])
    tensors: list[int] = field(default_factory=lambda: [0, 0])
    failures: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.cases += other.cases
        self.exported += other.exported
        self.refusals += other.refusals
        self.features += other.features
        self.values = [a + b for a, b in zip(self.values, other.values, strict=True)]
        self.tensors = [a + b for a, b in zip(self.tensors, other.tensors, strict=True)]
        self.failures += other.failures


def run_block(hypothesis_seed: int, cases: int, csim_every: int = 0, shrink: bool = True) -> Tally:
    """Check `cases` networks of different structure; a failure, made smaller, is in the tally and ends the block."""
    from fuzz.check import check

    tally, give_up = Tally(), [float("inf")]
    seen: set[object] = set()

    @seed(hypothesis_seed)
    @settings(
        max_examples=DRAWN_PER_CASE * cases,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(networks())
    def cases_of_block(network: Network) -> None:
        if not tally.failures:
            if tally.cases == cases or network.structure() in seen:
                return
            seen.add(network.structure())
            tally.cases += 1
        csim = bool(csim_every) and tally.cases % csim_every == 0
        if tally.failures:  # hypothesis makes the network smaller: compile only if that is what failed
            if time.monotonic() > give_up[0]:
                return
            csim = "C-simulation" in tally.failures[0]
        try:
            result = check(network, csim)
        except Exception as error:
            give_up[0] = min(give_up[0], time.monotonic() + SHRINK_SECONDS)
            tally.failures = [text if "def build" in (text := f"{error}") else f"{error!r}\n\n{network.script()}"]
            raise
        if tally.failures:  # made smaller, it does not fail any more
            return
        tally.exported += not result.refusal
        tally.refusals[result.refusal] += bool(result.refusal)
        tally.features.update(network.features if not result.refusal else ())
        tally.features.update(result.notes)
        tally.values = [a + b for a, b in zip(tally.values, result.values, strict=True)]
        tally.tensors = [a + b for a, b in zip(tally.tensors, result.tensors, strict=True)]

    try:
        cases_of_block()
    except Exception:
        if not tally.failures:
            raise
    return tally


def _block(arguments: tuple[int, int, int]) -> Tally:
    return run_block(*arguments)


def _blocks(options: argparse.Namespace) -> list[tuple[int, int, int]]:
    first = options.seed * SEEDS_PER_RUN
    if options.block is not None:
        return [(first + options.block, BLOCK, options.csim_every)]
    sizes = [BLOCK] * (options.cases // BLOCK) + [options.cases % BLOCK] * (options.cases % BLOCK > 0)
    return [(first + n, size, options.csim_every) for n, size in enumerate(sizes)]


def run(options: argparse.Namespace, console: Console) -> tuple[Tally, float]:
    """All blocks, with a progress bar on a terminal."""
    blocks, total, start = _blocks(options), Tally(), time.monotonic()
    columns = (TextColumn("fuzz"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=console) as progress,
        multiprocessing.get_context("spawn").Pool(options.jobs) as pool,
    ):
        task = progress.add_task("fuzz", total=sum(b[1] for b in blocks))
        for done, tally in enumerate(pool.imap_unordered(_block, blocks), start=1):
            total.add(tally)
            progress.update(task, completed=total.cases)
            if not console.is_terminal and done % 5 == 0:
                console.print(f"{total.cases} cases, {len(total.failures)} failures")
    return total, time.monotonic() - start


def record(options: argparse.Namespace, total: Tally, seconds: float) -> dict[str, Any]:
    """What can be quoted, as JSON."""
    found = asdict(total)
    found["failures"] = [text.splitlines()[0] for text in total.failures]
    found["features"] = dict(total.features.most_common())
    found["refusals"] = dict((+total.refusals).most_common())
    exact, tolerant = total.values
    found |= {"values": {"exact": exact, "float or quotient, tolerance": tolerant}}
    found |= {"tensors": {"exact": total.tensors[0], "float or quotient, tolerance": total.tensors[1]}}
    return {"seed": options.seed, "seconds": round(seconds), "mismatches": len(total.failures), **found}


def show(console: Console, total: Tally, seconds: float) -> None:
    """Statistics and failures."""
    table = Table("occurred", "networks", header_style="bold")
    for name, count in sorted(total.features.items()):
        table.add_row(name, str(count))
    console.print(table)
    for name, count in (+total.refusals).most_common():
        console.print(f"refused {count} times, as documented: {name}")
    exact, tolerant = total.values
    console.print(
        f"{total.cases} networks in {seconds:.0f} s: {total.exported} exported, {sum((+total.refusals).values())} "
        f"refused as documented, {len(total.failures)} failures; {exact:,} values equal, {tolerant:,} within tolerance"
    )


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-n", "--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--block", type=int, help="run this block only")
    parser.add_argument("--csim-every", type=int, default=5, help="C-simulate every k-th case; 0: none")
    parser.add_argument("--record", type=Path, default=Path("build/fuzz.json"), help="statistics as JSON")
    parser.add_argument("--failures", type=Path, default=Path("build/fuzz"), help="folder for failing scripts")
    options = parser.parse_args()
    console = Console(soft_wrap=True)
    total, seconds = run(options, console)
    show(console, total, seconds)
    options.record.parent.mkdir(parents=True, exist_ok=True)
    options.record.write_text(json.dumps(record(options, total, seconds), indent=2) + "\n")
    for number, text in enumerate(total.failures):
        options.failures.mkdir(parents=True, exist_ok=True)
        path = options.failures / f"failing_{number}.py"
        message, _, script = text.partition("\n\n")
        path.write_text(script)
        console.rule(f"failure {number}, script {path}")
        console.print(message, markup=False, highlight=False)
        body = re.search(r"^def build\(\):.*?(?=\n\nif __name__)", script, re.DOTALL | re.MULTILINE)
        console.print(body.group(0) if body else script, markup=False, highlight=False)
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
