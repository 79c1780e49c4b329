"""Bugs of dependencies, worked around in one place. Each has a test that notices when it is no longer needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from onnx.reference.op_run import OpRun


@contextmanager
def qonnx_ir_version(ir_version: int) -> Iterator[None]:
    """Let qonnx execute standard nodes although the installed onnx is newer than the installed onnxruntime.

    qonnx wraps each standard node in a model of its own and leaves the IR version at onnx's newest, which onnxruntime
    rejects until its next release ("Unsupported model IR version").
    """
    from qonnx.core import onnx_exec

    original = onnx_exec.qonnx_make_model

    def make_model(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **{"ir_version": ir_version, **kwargs})

    with patch.object(onnx_exec, "qonnx_make_model", make_model):
        yield


def onnx_reference_operators() -> tuple[type[OpRun], ...]:
    """Operators that onnx's reference cannot execute in general; the bodies of our functions need them.

    Its `Equal` refuses texts of different lengths, its `GatherElements` more than 64 rows.
    """

    class Equal(OpRun):
        op_domain = ""

        def _run(self, a: Any, b: Any) -> tuple[Any]:
            return (np.equal(a, b),)

    class GatherElements(OpRun):
        op_domain = ""

        def _run(self, data: Any, indices: Any, axis: int | None = None) -> tuple[Any]:
            return (np.take_along_axis(data, indices, axis or 0),)

    return Equal, GatherElements
