"""What three designs of one network instantiate, counted by the same instrument: `make census`.

The published jet and digit taggers, 8 bits, in four sizes where `../shared/paper` holds their weights; or any exported
models: `python bench/census.py MODEL.onnx ...`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from models import published_models

from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.census import Census

DESIGNS = {
    "published": {"design": "published"},
    "default": {},
    "streamed": {"io_type": "io_stream"},
}
COLUMNS = ("network", "design", "mult and select bits", "of published", "registers", "interval", "latency")


def table(models: dict[str, Path], scratch: Path) -> list[tuple[str, ...]]:
    """A row for every model and design; bits of multipliers and selectors, and of registers and buffers; cycles."""
    rows = []
    for name, path in models.items():
        counted: dict[str, Census] = {}
        for design, config in DESIGNS.items():
            counted[design] = to_hls(path, scratch / f"{name}_{design}", config=config).census()
            census, first = counted[design], counted["published"]
            bits, registers = census.headline_bits, census.total.bits("register") + census.total.buffer_bits
            share = f"1/{first.headline_bits / bits:.1f}" if design != "published" else "1"
            cells = (f"{bits:,}", share, f"{registers:,}", str(census.interval), str(census.latency))
            rows.append((name, design, *cells))
            print("|", " | ".join(rows[-1]), "|", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, help="exported models; the published ones without any")
    given = parser.parse_args().models
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        models = {path.stem: path for path in given} or published_models(folder)
        print("|", " | ".join(COLUMNS), "|")
        print("|---|---" + "|---:" * (len(COLUMNS) - 2) + "|")
        table(models, folder)


if __name__ == "__main__":
    main()
