"""LessOrEqual."""

from __future__ import annotations

from sparse_qonnx.standard._truth import Truth


class LessOrEqual(Truth):
    """Whether the first number is not above the second."""
