"""Sparse quantized CNNs: one ONNX file from Keras, run by onnxruntime and as FPGA firmware, bit for bit.

The public names are imported when they are first used, so that `import sparse_qonnx` is quick and needs neither Keras
nor TensorFlow, which only `export` and `verify` with a Keras model import.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparse_qonnx.errors import SparseQonnxError as SparseQonnxError
    from sparse_qonnx.export import export as export
    from sparse_qonnx.hls import to_hls as to_hls
    from sparse_qonnx.network import Network as Network
    from sparse_qonnx.network import SparseMap as SparseMap
    from sparse_qonnx.plots import plot_census as plot_census
    from sparse_qonnx.plots import plot_event as plot_event
    from sparse_qonnx.plots import plot_precision as plot_precision
    from sparse_qonnx.runtime import InferenceSession as InferenceSession
    from sparse_qonnx.runtime import get_library_path as get_library_path
    from sparse_qonnx.runtime import register as register
    from sparse_qonnx.verify import verify as verify

__version__ = "0.1.0"

_HOME = {
    "InferenceSession": "sparse_qonnx.runtime",
    "Network": "sparse_qonnx.network",
    "SparseMap": "sparse_qonnx.network",
    "SparseQonnxError": "sparse_qonnx.errors",
    "export": "sparse_qonnx.export",
    "get_library_path": "sparse_qonnx.runtime",
    "plot_census": "sparse_qonnx.plots",
    "plot_event": "sparse_qonnx.plots",
    "plot_precision": "sparse_qonnx.plots",
    "register": "sparse_qonnx.runtime",
    "to_hls": "sparse_qonnx.hls",
    "verify": "sparse_qonnx.verify",
}

__all__ = [*sorted(_HOME), "__version__"]


class _Package(ModuleType):
    """Keeps `sq.export` and `sq.verify` the functions, although submodules bear their names.

    Python binds a submodule to its package when it is imported; here the function of that name is bound instead.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name in _HOME and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Import a public name from its module (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'sparse_qonnx' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
