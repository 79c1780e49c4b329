"""Less."""

from __future__ import annotations

from sparse_qonnx.standard._truth import Truth


class Less(Truth):
    """Whether the first number is below the second."""
