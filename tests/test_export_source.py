"""What a file says of the Keras model it was made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.keras
pytest.importorskip("keras")


@dataclass
class Weight:
    name: str
    value: Any

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.value, dtype)


@dataclass
class Model:
    name: str = "m"
    weights: list[Weight] = field(default_factory=list)


def digest(*weights: Weight) -> str:
    from sparse_qonnx.export.source import describe_source

    return describe_source(Model(weights=list(weights)))["weights_sha256"]


def test_the_hash_counts_what_determines_the_file() -> None:
    values = np.arange(6, dtype=np.float32)
    known = digest(Weight("kernel", values))
    assert digest(Weight("kernel_7", values)) == known, "Keras counts unnamed layers anew in every process"
    assert digest(Weight("kernel", values), Weight("masked_intensity", np.float32(0.3))) == known
    assert digest(Weight("kernel", values.astype(">f4"))) == known, "the same on every machine"
    others = [values.reshape(2, 3), values.astype(np.float64), values + 1, values[::-1]]
    assert len({known, *(digest(Weight("kernel", other)) for other in others)}) == 5


def test_packages_are_named_with_their_versions() -> None:
    from importlib.metadata import version

    from sparse_qonnx.export.source import describe_source

    source = describe_source(Model("jets"))
    assert source["model"] == "jets"
    assert f"keras {version('keras')}" in source["packages"] and "sparsepixels" in source["packages"]
