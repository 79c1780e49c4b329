"""One call of one layer, as its handler sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from sparse_qonnx.errors import UnsupportedLayerError
from sparse_qonnx.export.values import Coordinates, DenseValue, MaskValue, SparseValue, Tensor, Value, renamed
from sparse_qonnx.graph import GraphBuilder

Step = tuple[str, Callable[[Tensor, str], Tensor]]
"""A part of a layer: its name, and what emits it under a wanted tensor name."""


SPARSE_LAYERS = (
    "on sparse feature maps QConv2DSparse, the sparse poolings, activations with f(0) = 0, Quantizer, tables, "
    "QBatchNormalization before a convolution, merges and Concatenate of the same pixels"
)

_INSTEAD = {
    "Conv2D": "QConv2DSparse",
    "DepthwiseConv2D": "QConv2DSparse(groups=...)",
    "SeparableConv2D": "two QConv2DSparse",
    "Dense": "QConv2DSparse(kernel_size=1)",
    "EinsumDense": "QConv2DSparse(kernel_size=1)",
    "AveragePooling2D": "AveragePooling2DSparse",
    "MaxPooling2D": "MaxPooling2DSparse",
    "BatchNormalization": "hgq's QBatchNormalization with a QConv2DSparse behind it",
}
"""Layers that do on a sparse feature map what another does on an image."""


def _values(argument: Any) -> Iterator[Value]:
    if isinstance(argument, (DenseValue, SparseValue, MaskValue)):
        yield argument
    elif isinstance(argument, (list, tuple)):
        for item in argument:
            yield from _values(item)
    elif isinstance(argument, dict):
        yield from _values(list(argument.values()))


@dataclass(frozen=True)
class LayerCall:
    """A layer, its arguments with values in place of Keras tensors, and the graph to append to.

    Args:
        graph: graph under construction.
        layer: the Keras layer.
        name: unique name of this call; the last tensor of the layer bears it.
        args: positional arguments.
        kwargs: keyword arguments.
        output_shapes: sample shapes of the layer's results, as Keras infers them.
    """

    graph: GraphBuilder
    layer: Any
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output_shapes: tuple[tuple[int, ...], ...]

    @property
    def where(self) -> str:
        """How messages name the layer."""
        return f"layer {self.name!r} ({type(self.layer).__name__})"

    @property
    def inputs(self) -> list[Value]:
        """All values among the arguments, in order."""
        return list(_values([*self.args, self.kwargs]))

    # ---- refusals -----------------------------------------------------------------------------------------------

    def refuse(self, problem: str, *, allowed: str = "", fix: str = "") -> NoReturn:
        """Raise UnsupportedLayerError for this layer."""
        raise UnsupportedLayerError(self.where, problem, allowed=allowed, fix=fix)

    def require(self, attribute: str, value: Any, allowed: Sequence[Any], why: str, fix: str) -> None:
        """Refuse the layer unless an attribute has one of the allowed values."""
        if value not in allowed:
            wanted = " or ".join(f"{attribute}={v!r}" for v in allowed)
            self.refuse(f"{attribute}={value!r}: {why}", allowed=wanted, fix=fix)

    def sparse_hint(self) -> str:
        """What to use on a sparse feature map in place of this layer."""
        behind = "put it behind Flatten, Reshape or a global pooling"
        instead = _INSTEAD.get(type(self.layer).__name__.removeprefix("Q"))
        return behind if instead is None else f"use {instead}, or {behind}"

    # ---- arguments ----------------------------------------------------------------------------------------------

    def single(self) -> Tensor:
        """The only input, dense or sparse.

        Raises:
            UnsupportedLayerError: for several inputs, or a keep mask.
        """
        inputs = self.inputs
        if len(inputs) != 1:
            self.refuse(f"has {len(inputs)} inputs", allowed="one input tensor")
        (value,) = inputs
        if isinstance(value, MaskValue):
            self.refuse(
                "computes with the keep mask",
                allowed="passing the mask on to sparse layers",
                fix="feed the layer the feature map, the first output of InputReduce or of the pooling",
            )
        return value

    def tensors(self) -> list[Tensor]:
        """All inputs, dense or sparse.

        Raises:
            UnsupportedLayerError: where one is a keep mask.
        """
        found = [value for value in self.inputs if not isinstance(value, MaskValue)]
        if len(found) != len(self.inputs):
            self.refuse("computes with the keep mask", allowed="feature maps", fix="use RemoveDilatedPixels to mask")
        return found

    def dense(self) -> DenseValue:
        """The only input, which must be dense.

        Raises:
            UnsupportedLayerError: where it is sparse.
        """
        value = self.single()
        if isinstance(value, SparseValue):
            self.refuse(
                f"is applied to the sparse feature map {value.name!r} but does not keep to its pixels",
                allowed=SPARSE_LAYERS,
                fix=self.sparse_hint(),
            )
        return value

    def fixed(self, value: DenseValue) -> DenseValue:
        """The value, unless a float head made it.

        Raises:
            UnsupportedLayerError: for results of softmax or sigmoid, which no two runtimes compute alike.
        """
        if value.float_head:
            self.refuse(
                f"computes with the floating-point results of {value.float_head!r}",
                allowed="softmax, sigmoid and other floating-point layers as the last ones only",
                fix="use factors on a grid (1/256 for 1/255), HGQ2's layers for Keras's, and fixed-point tables "
                "(hgq QUnaryFunctionLUT, QSoftmax) for activations inside the network",
            )
        return value

    def sparse_pair(self) -> tuple[SparseValue, Coordinates]:
        """The feature map and keep mask given to a sparse layer.

        Raises:
            UnsupportedLayerError: unless they are a sparse feature map and the mask of the same pixels.
        """
        inputs = self.inputs
        if len(inputs) != 2 or not isinstance(inputs[1], MaskValue):
            kinds = ", ".join(type(v).__name__.removesuffix("Value").lower() for v in inputs)
            self.refuse(
                f"its inputs are ({kinds})",
                allowed="[feature map, keep mask], both from InputReduce or the same sparse pooling",
                fix="call the layer on [x, mask]",
            )
        features, mask = inputs
        assert isinstance(mask, MaskValue)
        if not isinstance(features, SparseValue):
            self.refuse(
                "its feature map is a dense tensor, not made by InputReduce",
                allowed="the feature map of InputReduce and what sparse layers make of it",
                fix="feed it the first output of InputReduce",
            )
        if features.coords != mask.coords:
            self.refuse(
                f"its feature map lives on the pixels {features.coords.name!r}, its mask on {mask.coords.name!r}",
                allowed="a feature map and the mask of the same pixels",
                fix="pass on the mask that the last sparse pooling returned",
            )
        return features, mask.coords

    def unfilled(self, value: SparseValue) -> SparseValue:
        """The value, unless its inactive pixels are not 0 in Keras.

        Raises:
            UnsupportedLayerError: naming the layer that filled them.
        """
        if value.filled_by:
            self.refuse(
                f"reads the inactive pixels, which layer {value.filled_by!r} fills with a value that is not 0",
                allowed="activations with f(0) = 0 there, or a consumer that masks its input: QConv2DSparse",
                fix="put a QConv2DSparse, which masks its input, directly behind that layer",
            )
        return value

    # ---- emission -----------------------------------------------------------------------------------------------

    def chain(self, value: Tensor, steps: Sequence[Step]) -> Tensor:
        """Emit the parts of the layer one after another; the last one's tensor bears the layer's name."""
        if not steps:
            return value
        *first, (_, emit_last) = steps
        return emit_last(self.parts(value, first), self.name)

    def parts(self, value: Tensor, steps: Sequence[Step]) -> Tensor:
        """Emit parts of the layer, none of them the last."""
        for part, emit in steps:
            value = emit(value, f"{self.name}.{part}")
        return value

    def elementwise(self, part: str, op_type: str, constants: Sequence[str] = (), **attributes: Any) -> Step:
        """A step of one standard elementwise node whose further inputs are `constants`."""

        def emit(value: Tensor, name: str) -> Tensor:
            (result,) = self.graph.node(op_type, [value.name, *constants], [name], **attributes)
            return renamed(value, result)

        return part, emit
