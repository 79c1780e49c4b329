"""`make fuzz-files CASES=20000 SEED=0`: hostile files through every command; counts, and the files that did harm.

`make fuzz-inputs`: the same with every other input, and with folders full of surprises around the outputs.

Cases run in a process of their own, which is started anew after a crash, a hang, or some thousands of cases. A case
follows from the seed and its number: `--case` runs one again.
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

BLOCK = 4000
NO_MEMORY = "no memory"
"""AddressSanitizer ends the process where onnxruntime asks for more than there is; without it, that is an error."""
HARMLESS = ("ok", "refused", "mismatch", NO_MEMORY)
SANITIZER = ("AddressSanitizer", "UndefinedBehaviorSanitizer", "runtime error:", "ThreadSanitizer")
WORKER = Path(__file__).with_name("worker.py")


@dataclass
class Tally:
    """What a number of files came to."""

    files: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    harm: list[dict[str, Any]] = field(default_factory=list)
    differing: list[dict[str, Any]] = field(default_factory=list)
    """Files that `verify` found to mean different things; kept too, since each is worth a look."""

    def add(self, case: int, command: str, outcome: str, detail: str) -> None:
        self.outcomes[command, outcome] += 1
        entry = {"case": case, "command": command, "outcome": outcome, "detail": detail}
        if outcome not in HARMLESS:
            self.harm.append(entry)
        elif outcome == "mismatch":
            self.differing.append(entry)

    def table(self) -> str:
        commands = list(dict.fromkeys(command for command, _ in self.outcomes))
        outcomes = sorted({outcome for _, outcome in self.outcomes}, key=lambda o: (o not in HARMLESS, o))
        rows = [["command", "runs", *outcomes]]
        for command in commands:
            counts = [self.outcomes[command, outcome] for outcome in outcomes]
            rows.append([command, *(f"{n:,}" for n in (sum(counts), *counts))])
        widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
        return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)


def run_cases(
    start: int, stop: int, seed: str, options: list[str], timeout: float, until: float, folder: Path
) -> Tally:
    """Cases from `start` to `stop`, until the clock says `until`."""
    tally = Tally()
    while start < stop and time.monotonic() < until:
        start = _run_process(tally, start, min(stop, start + BLOCK), seed, options, timeout, until, folder)
    return tally


def _run_process(
    tally: Tally, start: int, stop: int, seed: str, options: list[str], timeout: float, until: float, folder: Path
) -> int:
    """One process; the case with which to go on."""
    errors = folder / "stderr.txt"
    line = [
        sys.executable,
        str(WORKER),
        "--seed",
        seed,
        "--cases",
        str(start),
        str(stop),
        "--stderr",
        str(errors),
        *options,
    ]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    lines: queue.Queue[str | None] = queue.Queue()
    assert process.stdout is not None
    threading.Thread(target=_forward, args=(process.stdout, lines), daemon=True).start()
    case, command, outcome = start, "start", ""
    while time.monotonic() < until:
        try:
            said = lines.get(timeout=timeout)
        except queue.Empty:
            outcome = "hang"
            break
        if said is None:
            outcome = "" if process.wait() == 0 else _cause(errors)
            break
        number, command, *rest = said.strip().split(" ", 2)
        tally.files += not rest and (command in ("load", "kernel") or "--inputs" in options)
        case = int(number)
        if rest:
            tally.add(case, command, *json.loads(rest[0]))
    process.kill()
    process.wait()
    if outcome:
        tally.add(case, command, outcome, errors.read_text(errors="replace")[-4000:])
        return case + 1
    return stop


def _forward(stream: Any, lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _cause(errors: Path) -> str:
    text = errors.read_text(errors="replace")
    if "SUMMARY: AddressSanitizer: out-of-memory" in text or "allocation-size-too-big" in text:
        return NO_MEMORY
    return "sanitizer report" if any(word in text for word in SANITIZER) else "crash"


def save(tally: Tally, seed: str, folder: Path) -> None:
    """The harmful and the differing files, with what they did."""
    from fuzz_files.bases import bases
    from fuzz_files.mutate import mutant
    from fuzz_files.worker import SHARES

    found = list(bases().values())
    for entry in (*tally.harm, *tally.differing):
        name = f"{seed}-{entry['case']}-{entry['command']}"
        if entry["command"] == "load" or entry["command"] in SHARES:
            rng = random.Random(f"{seed}/{entry['case']}")
            (folder / f"{name}.onnx").write_bytes(mutant(rng.choice(found), rng))
        (folder / f"{name}.txt").write_text(f"{entry['outcome']}\n{entry['detail']}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--case", type=int, help="this one alone")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after that long")
    parser.add_argument("--timeout", type=float, default=60, help="seconds that one command may take")
    parser.add_argument("--kernels", action="store_true", help="native kernels alone, with arguments no file has")
    parser.add_argument("--inputs", action="store_true", help="other inputs than models, and folders around outputs")
    parser.add_argument("--only", nargs="*", help="commands besides load")
    parser.add_argument("--share", nargs=2, action="append", default=[], metavar=("COMMAND", "PART"),
                        help="how often a command meets a file that loads, such as csim 0.1")  # fmt: skip
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz-files"), help="where harmful files go")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    options = ["--kernels"] if args.kernels else ["--inputs"] if args.inputs else []
    options += ["--keep", str(args.folder.resolve())] if args.case is not None else []
    options += ["--only", *args.only] if args.only is not None else []
    options += [word for name, share in args.share for word in ("--share", name, share)]
    start, stop = (0, args.cases) if args.case is None else (args.case, args.case + 1)
    began = time.monotonic()
    tally = Tally()
    for first in range(start, stop, BLOCK):
        until = began + args.seconds
        part = run_cases(first, min(first + BLOCK, stop), args.seed, options, args.timeout, until, args.folder)
        tally.files += part.files
        tally.outcomes += part.outcomes
        tally.harm += part.harm
        save(part, args.seed, args.folder)
        if time.monotonic() > until:
            break
        print(f"{tally.files:,} files, {len(tally.harm)} harmful, {time.monotonic() - began:.0f} s", flush=True)
    print(f"\n{tally.files:,} files, seed {args.seed}, {time.monotonic() - began:.0f} s\n\n{tally.table()}")
    for entry in tally.harm[:20]:
        print(f"\ncase {entry['case']}, {entry['command']}: {entry['outcome']}\n{entry['detail'][-1500:]}")
    return 1 if tally.harm else 0


if __name__ == "__main__":
    sys.exit(main())
