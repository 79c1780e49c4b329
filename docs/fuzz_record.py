"""The record in docs/fuzzing.md, from what `make fuzz` wrote: `python docs/fuzz_record.py [build/fuzz.json]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "fuzzing.md"
HEADING = "## The record\n"


def section(found: dict[str, Any]) -> str:
    """The section of the page: what ran, what came of it, how often each feature occurred."""
    refused = sum(found["refusals"].values())
    exact, tolerant = found["values"].values()
    command = f"make fuzz N={found['asked']} SEED={found['seed']}" + (
        f" FUZZ_FLAGS='--csim-every {found['csim_every']}'" if found["csim_every"] != 5 else ""
    )
    lines = [
        HEADING,
        f"`{command}`, {found['date']}: {found['cases']} networks in {found['seconds']} s, "
        f"{found['exported']} exported, {refused} refused for a documented reason, **{found['mismatches']} failures**. "
        f"{exact:,} values were equal, {tolerant:,} within the tolerances above.",
        "",
        ", ".join(f"{name} {number}" for name, number in found["versions"].items()) + ".",
        "",
        "| refused | networks |",
        "|---|---|",
        *(f"| {reason} | {count} |" for reason, count in found["refusals"].items()),
        "",
        "| occurred in exported networks | networks |",
        "|---|---|",
        *(f"| {name} | {count} |" for name, count in sorted(found["features"].items()) if ": ValueError" not in name),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Replace the section."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "fuzz.json"
    text = TARGET.read_text(encoding="utf-8").split(HEADING)[0]
    TARGET.write_text(text.rstrip() + "\n\n" + section(json.loads(source.read_text())), encoding="utf-8")


if __name__ == "__main__":
    main()
