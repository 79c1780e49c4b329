"""Refusals that are documented: the message, and what must occur in a network for it to be one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sparse_qonnx.errors import PrecisionError, SparseQonnxError, ToolError, UnsupportedLayerError


@dataclass(frozen=True)
class Refusal:
    """A documented refusal.

    Args:
        reason: name in the statistics.
        kind: exception class.
        message: what the message matches.
        features: patterns of which at least one must match a feature of the network; empty for "always possible".
    """

    reason: str
    kind: type[SparseQonnxError]
    message: str
    features: tuple[str, ...] = ()


FLOATS = ("misuse: elementwise", "float layer")
"""Layers that tf2onnx converts to floating-point nodes, as they have no exact counterpart."""

DOCUMENTED = (
    Refusal("more than 53 bits", PrecisionError, r"needs \d+ bits to be exact"),
    Refusal("weights wider than 24 bits", PrecisionError, r"weights .* need \d+ bits"),
    Refusal("strides", UnsupportedLayerError, r"strides=", ("misuse: convolution", "misuse: pooling")),
    Refusal("padding", UnsupportedLayerError, r"padding=", ("misuse: convolution", "misuse: pooling")),
    Refusal("activation", UnsupportedLayerError, r"activation='(sigmoid|tanh|leaky_relu)'", ("misuse",)),
    Refusal("slope", UnsupportedLayerError, r"negative_slope=0\.3", ("misuse: elementwise",)),
    Refusal("dense layer on a map", UnsupportedLayerError, r"is applied to the sparse", ("misuse: elementwise",)),
    Refusal("sigmoid on a sparse map", UnsupportedLayerError, r"sparse feature map", ("misuse",)),
    Refusal("an image where pixels are wanted", UnsupportedLayerError, r"is a dense tensor", ("merge of different",)),
    Refusal("no counterpart", UnsupportedLayerError, r"BatchNormalization\): has no exact", ("misuse",)),
    Refusal("product of two data tensors", UnsupportedLayerError, r"QDot\): has no exact", ("layer QDot",)),
    Refusal("unstable softmax, no input quantizer", UnsupportedLayerError, r"enable_iq=False", ("layer QSoftmax",)),
    Refusal("large table", UnsupportedLayerError, r"table of 2\*\*", ("layer QSoftmax", "layer QUnaryFunctionLUT")),
    Refusal("tf2onnx is not installed", ToolError, r"tf2onnx", ("misuse: elementwise",)),
    Refusal("behind a float layer", UnsupportedLayerError, r"floating-point results", (*FLOATS, "float head")),
    Refusal("table of a dummy quantizer", UnsupportedLayerError, r"input quantizer is a dummy", ("iq: dummy",)),
    Refusal("affine dummy quantizer", UnsupportedLayerError, r"a dummy quantizer with", ("standalone: dummy",)),
    Refusal("reads filled pixels", UnsupportedLayerError, r"reads the inactive pixels", ("filled pixels",)),
    Refusal("budget rounds to 0", UnsupportedLayerError, r"the pixel budget"),
)


def explain(error: SparseQonnxError, features: Iterable[str]) -> str | None:
    """The documented reason of a refusal, None where there is none."""
    for refusal in DOCUMENTED:
        fits = not refusal.features or any(re.search(p, f) for p in refusal.features for f in features)
        if type(error) is refusal.kind and fits and re.search(refusal.message, str(error)):
            return refusal.reason
    return None


def explain_hardware(error: SparseQonnxError) -> str:
    """What has no hardware: the node's type, or that numbers are unknown.

    Raises:
        SparseQonnxError: the error itself, where it names neither.
    """
    found = re.match(r"node '[^']*' \((\w+)\)", error.where)
    if found:
        return found.group(1)
    if re.search(r"input_precision|no stated type|no exact", f"{error}"):
        return "input type unknown"
    raise error
