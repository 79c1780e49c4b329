"""The table of what is supported, from the registries: `python docs/supported.py` writes it into README.md."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from sparse_qonnx.export.registry import registered
from sparse_qonnx.ops import operators
from sparse_qonnx.ops._base import SparseOp
from sparse_qonnx.standard import standard_operators
from sparse_qonnx.standard._base import StandardOp

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- supported: begin -->", "<!-- supported: end -->"
PACKAGES = {
    "sparsepixels.layers": "sparsepixels",
    "hgq.layers": "HGQ2",
    "hgq.quantizer": "HGQ2",
    "keras.layers": "Keras",
}


def _layers() -> list[str]:
    """A row for every package whose layers are exported."""
    rows: dict[str, list[str]] = {package: [] for package in dict.fromkeys(PACKAGES.values())}
    for name in registered():
        module, _, layer = name.rpartition(".")
        if module in PACKAGES:  # the others are what `a + b` becomes
            rows[PACKAGES[module]].append(layer)
    header = ["| from | layers and quantizers |", "|---|---|"]
    return header + [
        f"| {package} | {', '.join(f'`{layer}`' for layer in layers)} |" for package, layers in rows.items()
    ]


def _row(op: type[SparseOp] | type[StandardOp], domain: str) -> str:
    summary = (op.__doc__ or "").strip().splitlines()[0].rstrip(".")
    stem = re.sub(r"(?<!^)(?=[A-Z])", "_", op.__name__).lower()
    kernel = "own kernel" if (ROOT / "custom_ops" / "kernels" / f"{stem}.cc").is_file() else "built in"
    return f"| `{op.__name__}` | {domain} | {summary} | {kernel} | {'yes' if hasattr(op, 'hls') else 'no'} |"


def operator_rows() -> list[str]:
    """A row for every operator that carries an exact number format."""
    rows = ["| operator | domain | what it does | onnxruntime | firmware |", "|---|---|---|---|---|"]
    rows += [_row(op, "`sparse_qonnx.ops`") for op in operators().values()]
    foreign = sorted(standard_operators().items(), key=lambda item: (not item[0][0], item[0][1]))
    return rows + [_row(op, f"`{domain}`" if domain else "ONNX") for (domain, _), op in foreign]


def section() -> str:
    """The text between the markers."""
    return "\n".join(["", *_layers(), "", *operator_rows(), ""])


def main() -> int:
    """Write the table into README.md."""
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{BEGIN}\n{section()}\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
