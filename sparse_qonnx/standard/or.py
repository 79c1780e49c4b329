"""Or."""  # noqa: N999  # the name of the operator

from __future__ import annotations

from sparse_qonnx.standard._truth import Truth


class Or(Truth):
    """Whether one is true."""
