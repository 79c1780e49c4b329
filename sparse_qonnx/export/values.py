"""What flows between layers while a Keras model is traced."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Coordinates:
    """Where the slots of a sparse feature map lie.

    Args:
        name: int64 tensor `[B, slots, 2]` of the graph.
        height: rows of the image.
        width: columns of the image.
        slots: slots, empty ones included.
        parent: the coordinates these were pooled from; None straight after the input reduction.
        pool_size: window of that pooling.
    """

    name: str
    height: int
    width: int
    slots: int
    parent: Coordinates | None = None
    pool_size: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class DenseValue:
    """An ordinary tensor `[B, *shape]`.

    Args:
        name: tensor of the graph.
        shape: shape of one sample.
        is_input: whether it is an input image, at most quantized on its way.
        float_head: name of the layer (softmax, sigmoid) whose floating-point results these are; empty on a grid.
    """

    name: str
    shape: tuple[int, ...]
    is_input: bool = False
    float_head: str = ""


@dataclass(frozen=True)
class SparseValue:
    """A sparse feature map: `features` `[B, slots, channels]` at `coords`.

    Args:
        name: features tensor of the graph; empty slots hold 0.
        coords: where the slots lie.
        channels: values a pixel.
        filled_by: name of the layer with f(0) != 0 after which Keras's inactive pixels are not 0 any more; empty else.
    """

    name: str
    coords: Coordinates
    channels: int
    filled_by: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample as Keras has it: `[H, W, C]`."""
        return self.coords.height, self.coords.width, self.channels


@dataclass(frozen=True)
class MaskValue:
    """Keras's keep mask `[B, H, W, 1]`: in the graph it is nothing but the coordinates."""

    coords: Coordinates

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample as Keras has it."""
        return self.coords.height, self.coords.width, 1


Value = DenseValue | SparseValue | MaskValue
Tensor = DenseValue | SparseValue


def renamed(value: Tensor, name: str) -> Tensor:
    """The same kind of value, held by another tensor of the graph."""
    return replace(value, name=name)
