"""What functions of one value have in common."""

from __future__ import annotations

import math

from sparse_qonnx.grid import NodeContext
from sparse_qonnx.hlscall import ConfigValue, HlsCall, sample_shape


def unary_call(node: NodeContext, function: str, **config: ConfigValue) -> HlsCall:
    """The call of a function in the kernel `activation`."""
    return HlsCall(
        "activation", config={"n_values": math.prod(sample_shape(node.shapes[0])), **config}, function=function
    )
