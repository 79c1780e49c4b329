"""What a file was made from, for its metadata: the same model gives the same entries, in memory or saved."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import Any

import numpy as np

_PACKAGES = ("keras", "hgq2", "sparsepixels")

_DIAGNOSTICS = frozenset({"masked_intensity"})
"""Weights that sparsepixels' InputReduce writes at every call, inference included, for the person who trains."""


def describe_source(model: Any) -> dict[str, str]:
    """Name, weights and makers of a Keras model.

    Returns:
        `model`: its name; `weights_sha256`: SHA-256 over type, shape and bytes of every weight in the order of
        `model.weights` (names are left out, as Keras counts unnamed layers anew in every process); `packages`: what
        it was made with.
    """
    digest = hashlib.sha256()
    for weight in model.weights:
        if weight.name in _DIAGNOSTICS:
            continue
        values = np.asarray(weight)
        little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        digest.update(f"{little.dtype.str}{list(little.shape)}".encode())
        digest.update(little.tobytes())
    return {
        "model": str(model.name),
        "weights_sha256": digest.hexdigest(),
        "packages": ", ".join(f"{package} {version(package)}" for package in _PACKAGES),
    }
