"""Equal."""

from __future__ import annotations

from sparse_qonnx.standard._truth import Truth


class Equal(Truth):
    """Whether two numbers are equal."""
