"""What the methods of `Network` are given, checked: each mistake is told with what would have been right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from enum import StrEnum
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import ArrayLike, NDArray

from sparse_qonnx.errors import ConfigurationError, ModelFileError, UnsupportedNodeError
from sparse_qonnx.graph import OPSET, QUANT_DOMAIN
from sparse_qonnx.ops import DOMAIN, operators
from sparse_qonnx.standard.quant import Quant

Array = NDArray[Any]
Mode = TypeVar("Mode", bound=StrEnum)


def require_numbers(where: str, values: ArrayLike) -> Array:
    """An array of real numbers.

    Raises:
        ConfigurationError: it holds something else, or is no array.
    """
    try:
        array = np.asarray(values, order="C")  # not ascontiguousarray, which makes scalars vectors
    except ValueError as error:  # lists of different lengths
        raise ConfigurationError(where, f"is no array: {error}") from error
    if array.dtype.kind not in "fiub":
        raise ConfigurationError(where, f"has type {array.dtype}", allowed="an array of real numbers")
    return array


def require_integer(where: str, value: Any, least: int | None = None) -> int:
    """A whole number.

    Raises:
        ConfigurationError: it is none, or smaller than `least`.
    """
    if not isinstance(value, Integral) or (least is not None and value < least):
        raise ConfigurationError(
            where, f"is {value!r}", allowed="an integer" if least is None else f"an integer from {least}"
        )
    return int(value)


def require_number(where: str, value: Any) -> float:
    """A real number.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(value, Real):
        raise ConfigurationError(where, f"is {value!r}", allowed="a number")
    return float(value)


def require_mode(where: str, value: str, modes: type[Mode]) -> Mode:
    """One of the named modes.

    Raises:
        ConfigurationError: it is none of them.
    """
    if value not in {mode.value for mode in modes}:
        raise ConfigurationError(where, f"is {value!r}", allowed=", ".join(mode.value for mode in modes))
    return modes(value)


def require_sizes(where: str, shape: object) -> list[int]:
    """The shape of one event.

    Raises:
        ConfigurationError: it is no list of positive integers.
    """
    if isinstance(shape, str) or not isinstance(shape, Iterable):
        raise ConfigurationError(where, f"is {shape!r}", allowed="the sizes of one event, such as (28, 28, 1)")
    return [require_integer(where, size, 1) for size in shape]


def require_operator(where: str, op_type: str, domain: str) -> None:
    """An operator with one result.

    Raises:
        UnsupportedNodeError: there is none of that name, or it has several results.
    """
    known = _known(domain)
    if op_type not in known:
        close = difflib.get_close_matches(op_type, known, n=3, cutoff=0.5)
        source = {"": f"ONNX opset {OPSET}"}.get(domain, repr(domain))
        allowed = ", ".join(close or sorted(known)[:10]) if known else f"ONNX, {DOMAIN!r} or {QUANT_DOMAIN!r}"
        raise UnsupportedNodeError(where, f"{op_type!r} is no operator of {source}", allowed=allowed)


def _known(domain: str) -> list[str]:
    if domain == DOMAIN:
        return list(operators())
    if domain == QUANT_DOMAIN:
        return [Quant.__name__]
    found = (s for s in onnx.defs.get_all_schemas() if s.domain == domain and onnx.defs.has(s.name, OPSET, domain))
    return [] if domain else sorted({schema.name for schema in found})


def results_of(op_type: str, domain: str) -> int:
    """How many results an operator has at least."""
    if domain == DOMAIN:
        return len(operators()[op_type].outputs)
    return 1 if domain else int(onnx.defs.get_schema(op_type, OPSET, "").min_output)


# ---- shapes ---------------------------------------------------------------------------------------------------------


def sample_of(value: ir.Value) -> list[int | None]:
    """Sizes of one event, None where unknown."""
    return [size if isinstance(size, int) else None for size in list(value.shape or ())[1:]]


def require_image(where: str, image: ir.Value) -> tuple[int, int]:
    """Rows and columns of an image `[batch, H, W, C]`.

    Raises:
        ConfigurationError: it has another rank, or unknown sizes.
    """
    sample = sample_of(image)
    if len(sample) != 3 or None in sample[:2]:
        fix = "declare it as input(name, (H, W, C)), with 1 channel where there is one value a pixel"
        raise ConfigurationError(
            where, f"reads {image.name!r} of shape {_text(sample)}", allowed="[batch, H, W, C]", fix=fix
        )
    height, width = sample[:2]
    assert height is not None and width is not None
    return height, width


def require_conv_weights(where: str, features: ir.Value, kernel: Array, bias: Array | None, group: int) -> None:
    """The kernel and bias of a sparse convolution.

    Raises:
        ModelFileError: they do not fit the channels, or have the layout of Keras.
    """
    channels = sample_of(features)[-1]
    where = f"node {where!r} (SparseConv)"
    problem = f"does not fit its inputs: a kernel of shape {list(kernel.shape)} on {channels} channels, group {group}"
    allowed = "[F, C / group, kh, kw], as in ONNX and PyTorch"
    if kernel.ndim != 4:
        raise ModelFileError(where, problem, allowed=allowed)
    if channels is not None and (kernel.shape[1] * group != channels or kernel.shape[0] % group):
        keras = kernel.shape[2] * group == channels
        fix = (
            "np.transpose(kernel, (3, 2, 0, 1)), if it has the layout of Keras, [kh, kw, C / group, F]" if keras else ""
        )
        raise ModelFileError(where, problem, allowed=allowed, fix=fix)
    _require_bias(where, bias, kernel.shape[0])


def require_dense_weights(where: str, x: ir.Value, kernel: Array, bias: Array | None) -> None:
    """The kernel and bias of a dense layer.

    Raises:
        ModelFileError: they do not fit what the layer reads, or have the layout of PyTorch.
    """
    sample = sample_of(x)
    inputs = sample[-1] if sample else None
    where = f"node {where!r} (MatMul)"
    problem = f"does not fit its inputs: a kernel of shape {list(kernel.shape)} on {x.name!r} of shape {_text(sample)}"
    allowed = f"[{'K' if inputs is None else inputs}, F]"
    if kernel.ndim != 2 or (inputs is not None and kernel.shape[0] != inputs):
        fix = ""
        if kernel.ndim == 2 and kernel.shape[1] == inputs:
            fix = "kernel.T, if it has the layout of PyTorch, [F, K]"
        elif kernel.ndim == 2 and None not in sample and kernel.shape[0] == np.prod([n or 1 for n in sample]):
            fix = "flatten what it reads first"
        raise ModelFileError(where, problem, allowed=allowed, fix=fix)
    _require_bias(where, bias, kernel.shape[1])


def require_formats(where: str, x: ir.Value, formats: Sequence[Array], pixels: tuple[int, int] | None) -> None:
    """The formats of a quantizer; three dimensions on a feature map are those of its pixels.

    Raises:
        ConfigurationError: they do not broadcast against what is quantized.
    """
    sample = [1 if n is None else n for n in sample_of(x)]
    per_pixel = pixels is not None and max(values.ndim for values in formats) == 3
    target = (*(pixels or ()), sample[-1]) if per_pixel else (1, *sample)
    try:
        fits = np.broadcast_shapes(*(values.shape for values in formats), target) == target
    except ValueError:
        fits = False
    if not fits:
        shapes = ", ".join(str(list(values.shape)) for values in formats)
        allowed = f"shapes that broadcast to {list(target)}" + (", or to [H, W, C] of the pixels" if pixels else "")
        raise ConfigurationError(where, f"has formats of shape {shapes}", allowed=allowed)


def _require_bias(where: str, bias: Array | None, filters: int) -> None:
    if bias is not None and bias.shape != (filters,):
        problem = f"does not fit its inputs: a bias of shape {list(bias.shape)}"
        raise ModelFileError(where, problem, allowed=f"[{filters}]")


def _text(sample: Sequence[int | None]) -> str:
    return f"[{', '.join(['batch', *('?' if n is None else str(n) for n in sample)])}]"
