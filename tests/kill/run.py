"""`make kill`: commands killed at random moments and at every change of a file, and on disks that fill up.

Prints a table of what was found. Exit code 1 when anything was neither old nor new, or rubbish or a process remained.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a script: `kill` lies beside this folder's name, not in it
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import json
import random
import signal
import tempfile
from collections.abc import Callable, Iterable
from functools import partial

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from kill.commands import Command, commands_in, compiler, keras_model, material
from kill.machine import DISK, PAGE, Machine, Record, small_disk

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
Moment = Callable[[], None]


def spread(values: range, count: int) -> list[int]:
    """At most so many of them, from end to end."""
    step = max(1, -(-len(values) // max(count, 1)))
    return list(values)[::step]


def killed(machine: Machine, options: argparse.Namespace, rng: random.Random) -> Iterable[Moment]:
    """Moments of a command: at changes of files, then at random times."""
    for number in SIGNALS:
        for event in spread(range(1, machine.events + 1), options.changes):
            yield partial(machine.at_event, number, event)
    for n in range(options.times):
        yield partial(machine.at_time, SIGNALS[n % len(SIGNALS)], rng.uniform(0, machine.seconds))


def on_disks(commands: list[Command], folder: Path, record: Record, options: argparse.Namespace) -> Iterable[Moment]:
    """Moments on a small disk, or with a limit of a file's size where none can be had."""
    with small_disk(folder / "disk") as mounted:
        for command in commands:
            machine = Machine(command, folder / "disk", record, folder / "log")
            kind = machine.on_full_disk if mounted else machine.with_small_files
            sizes = range(0, DISK // 8, PAGE) if mounted else range(1, 60_000, 500)
            for size in spread(sizes[: machine.pages + 8], options.fills):
                yield partial(kind, size)


def run(options: argparse.Namespace) -> Record:
    """Every moment that was asked for."""
    rng, record = random.Random(options.seed), Record()
    with tempfile.TemporaryDirectory(prefix="kill-") as name, Progress(disable=not sys.stderr.isatty()) as bar:
        folder = Path(name)
        material(folder)
        if options.keras:
            keras_model(folder)
        os.environ["CXX"] = str(compiler(folder))
        commands = [c for c in commands_in(folder, options.keras) if not options.commands or c.name in options.commands]
        for command in commands:
            machine = Machine(command, folder, record, folder / "log")
            for moment in bar.track(list(killed(machine, options, rng)), description=command.name):
                moment()
        for moment in on_disks(commands, folder, record, options):
            moment()
    return record


def table(record: Record) -> Table:
    """Moments by command and state."""
    result = Table("command", "how", "moments", "old", "new", "new in part", "between")
    for command, how in dict.fromkeys((c, h) for c, h, _ in record.states):
        counts = [record.states[command, how, kind] for kind in ("old", "new", "new in part", "between")]
        result.add_row(command, how, str(sum(counts)), *map(str, counts))
    return result


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=30, help="random times for each command")
    parser.add_argument("--changes", type=int, default=1000, help="at most so many changes of files for each signal")
    parser.add_argument("--fills", type=int, default=12, help="at most so many fillings of the disk for each command")
    parser.add_argument("--commands", nargs="*", default=[], help="names of commands; all by default")
    parser.add_argument("--keras", action="store_true", help="kill the export of a Keras model, too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="JSON file of the counts")
    options = parser.parse_args()
    record = run(options)
    console = Console()
    console.print(table(record))
    total, between = record.states.total(), sum(n for (_, _, kind), n in record.states.items() if kind == "between")
    console.print(f"{total} moments, {between} between, {record.leftovers} with temporary files, of SIGKILL alone")
    for problem in record.problems:
        print(problem)
    if options.output is not None:
        counts = {" | ".join(key): n for key, n in record.states.items()}
        content = {"moments": total, "between": between, "states": counts, "problems": record.problems}
        options.output.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return 1 if record.problems else 0


if __name__ == "__main__":
    sys.exit(main())
