"""GreaterOrEqual."""

from __future__ import annotations

from sparse_qonnx.standard._truth import Truth


class GreaterOrEqual(Truth):
    """Whether the first number is not below the second."""
