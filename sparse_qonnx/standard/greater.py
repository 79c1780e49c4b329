"""Greater."""

from __future__ import annotations

from sparse_qonnx.standard._truth import Truth


class Greater(Truth):
    """Whether the first number is above the second."""
