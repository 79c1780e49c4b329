"""Cutting the events of a data set into spans, and what runs them: this process, or a cluster."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from onnx import ModelProto

from sparse_qonnx.runtime import input_shapes

SPAN_BYTES = 32 << 20
"""Of the input arrays of a span: enough for a cluster's overhead and a disk's to be small, little beside a GB."""

Span = tuple[int, int]
T = TypeVar("T", covariant=True)


class Job(Protocol[T]):
    """Work on events `start` to `stop`; it and its result can be sent to another process."""

    def __call__(self, start: int, stop: int) -> T:
        """The result for these events."""


Runner = Callable[[Job[Any], Sequence[Span]], Iterator[Any]]
"""Gives a job's result for each span, in the order of the spans."""


def run_here(job: Job[T], spans: Sequence[Span]) -> Iterator[T]:
    """One span after the other in this process."""
    for start, stop in spans:
        yield job(start, stop)


def span_size(model: ModelProto, batch: int) -> int:
    """Events of a span: whole batches, as many as `SPAN_BYTES` hold, at least one.

    A batch begins at a multiple of `batch` events whatever the spans are, so that an operator that computes several
    events at once (a floating-point head) rounds them alike in every run.
    """
    numbers = sum(math.prod(n for n in shape[1:] if isinstance(n, int)) for shape in input_shapes(model).values())
    return max(1, SPAN_BYTES // (4 * numbers * batch)) * batch


def cut(start: int, stop: int, size: int) -> list[Span]:
    """`start` to `stop` in pieces of at most `size`."""
    return [(first, min(first + size, stop)) for first in range(start, stop, size)]
