"""Pictures of events, number formats and hardware, drawn by matplotlib (`pip install 'sparse-qonnx[plot]'`)."""

from sparse_qonnx.plots.census import plot_census
from sparse_qonnx.plots.event import plot_event
from sparse_qonnx.plots.precision import plot_precision

__all__ = ["plot_census", "plot_event", "plot_precision"]
