"""The networks of the paper with other windows: their own weights where shapes allow, else some drawn from them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

SHAPES = (("jet", "l"), ("jet", "t"), ("sparsemnist", "l"))
WINDOWS = (3, 5, 6, 7)


def rebuilt(paper: ModuleType, dataset: str, bits: str, size: str, window: int) -> Any:
    """`paper_models.build` with another first window; the dense layer behind it gets weights drawn from its own."""
    import copy

    spec = paper.SPECS[dataset]
    changed = copy.deepcopy(spec)
    first = next(n for n, (kind, *_) in enumerate(changed["body"]) if kind == "pool")
    changed["body"][first] = ("pool", window)
    read = paper.read_weights

    def weights(*args: Any) -> dict[tuple[str, str], np.ndarray]:
        found = dict(read(*args))
        kernel = found["dense1", "kernel"]
        side = changed["hw"]
        for kind, *parameters in changed["body"]:
            side = side // parameters[0] if kind == "pool" else side
        channels = [p[0] for kind, *p in changed["body"] if kind == "conv"][-1]
        rng = np.random.default_rng(window)
        found["dense1", "kernel"] = rng.choice(kernel.ravel(), (side * side * channels, kernel.shape[1]))
        return found

    paper.SPECS[dataset], paper.read_weights = changed, weights
    try:
        return paper.build(dataset, bits, size)
    finally:
        paper.SPECS[dataset], paper.read_weights = spec, read


def load_paper(shared: Path) -> ModuleType | None:
    """The module `paper_models`, None where it is not there."""
    import importlib.util

    source = shared / "paper" / "paper_models.py"
    if not source.is_file():
        return None
    spec = importlib.util.spec_from_file_location("paper_models", source)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
