"""Where native files lie: the only file that knows.

Three layouts exist, and each is looked for in this order:

* a source tree (also an editable install): `hls_backend/` beside the package, the library in `build/`;
* a wheel, and the compiled half of an editable install: `sparse_qonnx/_native/`, `sparse_qonnx/_hls_backend/`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

LIBRARY_VARIABLE = "SPARSE_QONNX_LIBRARY"
"""Environment variable that overrides the library's path, for people who build it themselves."""

_PACKAGE = Path(__file__).resolve().parent
_LIBRARY_STEM = "sparse_qonnx_ops"
_SUFFIXES = {"win32": ".dll", "darwin": ".dylib"}


def source_tree() -> Path | None:
    """The root of the source tree the package is used from, None when it is installed from a wheel."""
    root = _PACKAGE.parent
    return root if (root / "CMakeLists.txt").is_file() and (root / "hls_backend").is_dir() else None


def _package_folders() -> Iterator[Path]:
    """The package's folders; an editable install has two, the sources and what was compiled."""
    yield _PACKAGE
    for entry in getattr(sys.modules.get("sparse_qonnx"), "__path__", ()):
        folder = Path(entry).resolve()
        if folder != _PACKAGE:
            yield folder


def _library_names() -> tuple[str, ...]:
    suffix = _SUFFIXES.get(sys.platform, ".so")
    return f"lib{_LIBRARY_STEM}{suffix}", f"{_LIBRARY_STEM}{suffix}"


def find_library() -> Path | None:
    """The shared library with the native onnxruntime kernels, None when it was not built."""
    override = os.environ.get(LIBRARY_VARIABLE)
    if override:
        return Path(override)
    found = (folder / "_native" / name for folder in _package_folders() for name in _library_names())
    return next((path for path in found if path.is_file()), None)


def why_no_library() -> str:
    """One sentence that says why `find_library` found nothing."""
    for folder in _package_folders():
        note = folder / "_native" / "NOT_BUILT.txt"
        if note.is_file():
            return note.read_text(encoding="utf-8").strip()
    return f"no {_library_names()[0]} lies beside the package: it is used from a source tree that was not installed"


def hls_backend() -> Path:
    """The folder with the HLS C++ sources: `kernels/`, `sim/` and `templates/`.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    root = source_tree()
    if root is not None:
        return root / "hls_backend"
    for folder in _package_folders():
        candidate = folder / "_hls_backend"
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"{_PACKAGE / '_hls_backend'} is missing: reinstall sparse-qonnx")
