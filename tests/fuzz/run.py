"""`make fuzz N=1000 SEED=0`: many random networks, with progress, statistics, and a script for the smallest failure.

Blocks of cases run in processes of their own. A network is drawn with the key `seed/block/number` and depends on
nothing else, so that a block can be run again alone (`--block`).
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
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from fuzz.check import MismatchError, Result, check
from fuzz.draw import network_of, smallest
from fuzz.recipe import Network

BLOCK = 20
DRAWN_PER_CASE = 10  # small networks come again; only the first of a structure is checked


@dataclass(frozen=True)
class Failure:
    """A network that fails, made smaller.

    Attributes:
        key: of the network it was found in.
        message: what is wrong with the smaller one.
        script: that builds it.
        body: the part of the script that is not the same for all.
    """

    key: str
    message: str
    script: str
    body: str

    @classmethod
    def of(cls, key: str, network: Network, error: Exception) -> Failure:
        message = f"{error}" if isinstance(error, MismatchError) else repr(error)
        return cls(key, message, network.script(), network.body())

    def __str__(self) -> str:
        return f"network {self.key}: {self.message}\n\n{self.script}"


@dataclass
class Tally:
    """What a number of cases came to."""

    cases: int = 0
    exported: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    features: Counter[str] = field(default_factory=Counter)
    values: list[int] = field(default_factory=lambda: [0, 0])
    tensors: list[int] = field(default_factory=lambda: [0, 0])
    failures: list[Failure] = field(default_factory=list)

    def count(self, network: Network, result: Result) -> None:
        """Add a network that was checked."""
        self.exported += not result.refusal
        self.refusals[result.refusal] += bool(result.refusal)
        self.features.update(network.features if not result.refusal else ())
        self.features.update(result.notes)
        self.values = [a + b for a, b in zip(self.values, result.values, strict=True)]
        self.tensors = [a + b for a, b in zip(self.tensors, result.tensors, strict=True)]

    def add(self, other: Tally) -> None:
        self.cases += other.cases
        self.exported += other.exported
        self.refusals += other.refusals
        self.features += other.features
        self.values = [a + b for a, b in zip(self.values, other.values, strict=True)]
        self.tensors = [a + b for a, b in zip(self.tensors, other.tensors, strict=True)]
        self.failures += other.failures


def run_block(run_seed: int, block: int, cases: int, csim_every: int = 0) -> Tally:
    """Check `cases` networks of different structure; a failure, made smaller, is in the tally and ends the block.

    Args:
        run_seed: seed of the run.
        block: number of the block in it.
        cases: how many networks.
        csim_every: a case in so many is C-simulated, of those that have hardware; 0: none.
    """
    tally, since = Tally(), 0
    seen: set[object] = set()
    for number in range(DRAWN_PER_CASE * cases):
        key = f"{run_seed}/{block}/{number}"
        network = network_of(key)
        if network.structure() in seen:
            continue
        seen.add(network.structure())
        tally.cases += 1
        since += 1
        try:
            result = check(network, csim=bool(csim_every) and since >= csim_every)
        except Exception as error:
            tally.failures.append(_minimal(Failure.of(key, network, error)))
            break
        since = 0 if "C-simulated" in result.notes else since
        tally.count(network, result)
        if tally.cases == cases:
            break
    return tally


def _minimal(first: Failure) -> Failure:
    """The smallest failure that is found from one."""
    csim = "C-simulation" in first.message  # compile only if that is what failed

    def failure(smaller: Network) -> Failure | None:
        try:
            check(smaller, csim)
        except Exception as error:
            return Failure.of(first.key, smaller, error)
        return None

    return smallest(first.key, failure) or first


def _block(arguments: tuple[int, int, int, int]) -> Tally:
    return run_block(*arguments)


def _blocks(options: argparse.Namespace) -> list[tuple[int, int, int, int]]:
    if options.block is not None:
        return [(options.seed, options.block, BLOCK, options.csim_every)]
    sizes = [BLOCK] * (options.cases // BLOCK) + [options.cases % BLOCK] * (options.cases % BLOCK > 0)
    return [(options.seed, block, size, options.csim_every) for block, size in enumerate(sizes)]


def run(options: argparse.Namespace, console: Console) -> tuple[Tally, float]:
    """All blocks, with a progress bar on a terminal."""
    blocks, total, seconds, start = _blocks(options), Tally(), 0.0, time.monotonic()
    columns = (TextColumn("fuzz"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=console) as progress,
        multiprocessing.get_context("spawn").Pool(options.jobs) as pool,
    ):
        task = progress.add_task("fuzz", total=sum(size for _, _, size, _ in blocks))
        for done, tally in enumerate(pool.imap_unordered(_block, blocks), start=1):
            for failure in tally.failures:
                _keep(options.failures, failure, progress.console)
            total.add(tally)
            progress.update(task, completed=total.cases)
            seconds = time.monotonic() - start
            _write_record(options, total, seconds)  # after each block, so that an interrupted run is one as well
            if not console.is_terminal and done % 5 == 0:
                console.print(f"{total.cases} cases, {len(total.failures)} failures, {seconds:.0f} s")
    return total, seconds


def _write_record(options: argparse.Namespace, total: Tally, seconds: float) -> None:
    options.record.parent.mkdir(parents=True, exist_ok=True)
    aside = options.record.with_suffix(".part")
    aside.write_text(json.dumps(record(options, total, seconds), indent=2) + "\n")
    aside.replace(options.record)


def _keep(folder: Path, failure: Failure, console: Console) -> None:
    """Write a failing network's script, and print what it builds."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"failing_{failure.key.replace('/', '_')}.py"
    path.write_text(failure.script)
    console.rule(f"failure, script {path}")
    console.print(failure.message, markup=False, highlight=False)
    console.print(failure.body, markup=False, highlight=False)


def record(options: argparse.Namespace, total: Tally, seconds: float) -> dict[str, Any]:
    """What can be quoted, as JSON."""
    found = asdict(total)
    found["failures"] = [f"{f.key}: {f.message.splitlines()[0]}" for f in total.failures]
    found["features"] = dict(total.features.most_common())
    found["refusals"] = dict((+total.refusals).most_common())
    exact, tolerant = total.values
    found |= {"values": {"exact": exact, "float or quotient, tolerance": tolerant}}
    found |= {"tensors": {"exact": total.tensors[0], "float or quotient, tolerance": total.tensors[1]}}
    packages = ("keras", "tensorflow", "hgq2", "sparsepixels", "onnx", "onnxruntime", "qonnx", "numpy")
    found |= {"versions": {name: version(name) for name in packages}}
    found |= {"asked": options.cases, "csim_every": options.csim_every, "date": date.today().isoformat()}
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
    parser.add_argument(
        "--csim-every", type=int, default=5, help="C-simulate a case in k, of those with hardware; 0: none"
    )
    parser.add_argument("--record", type=Path, default=Path("build/fuzz.json"), help="statistics as JSON")
    parser.add_argument("--failures", type=Path, default=Path("build/fuzz"), help="folder for failing scripts")
    options = parser.parse_args()
    console = Console(soft_wrap=True)
    total, seconds = run(options, console)
    show(console, total, seconds)
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
