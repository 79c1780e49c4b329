"""What flows between layers while a Keras model is traced."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Coordinates:
    """Where the slots of a sparse feature map lie. Equal ones hold equal numbers, whatever tensor they are in.

    Pooling puts a cell into the slot of its first pixel, so that windows of 2 and then 3 give what windows of 6 give:
    the reduction and the size of a cell say it all.

    Args:
        name: int64 tensor `[B, slots, 2]` of the graph.
        root: name of the input reduction.
        height: rows of the image.
        width: columns of the image.
        slots: slots, empty ones included.
        cell: input pixels a pixel stands for, down and across.
        parent: the coordinates these were pooled from; None straight after the input reduction.
    """

    name: str = field(compare=False)
    root: str
    height: int
    width: int
    slots: int
    cell: tuple[int, int] = (1, 1)
    parent: Coordinates | None = field(default=None, compare=False)

    def pooled(self, name: str, size: tuple[int, int]) -> Coordinates:
        """The coordinates after pooling by windows of `size`."""
        cell = (self.cell[0] * size[0], self.cell[1] * size[1])
        return Coordinates(name, self.root, self.height // size[0], self.width // size[1], self.slots, cell, self)


@dataclass(frozen=True)
class DenseValue:
    """An ordinary tensor `[B, *shape]`.

    Args:
        name: tensor of the graph.
        shape: shape of one sample.
        float_head: name of the layer (softmax, sigmoid) whose floating-point results these are; empty on a grid.
    """

    name: str
    shape: tuple[int, ...]
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
